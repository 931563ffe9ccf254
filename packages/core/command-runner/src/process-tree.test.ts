import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { DevstackError } from '@devstack-core/errors';
import { describe, expect, it } from 'vitest';
import { run, runInteractive, type RunOptions } from './index.ts';

/** A shell whose child, grandchild and child in a session of its own run for ever; each pid comes as a line. */
const family = `echo $$; sleep 1000 & echo $!; (sleep 1000 & echo $!; wait) & setsid sh -c 'echo $$; sleep 1000 & echo $!; wait' & wait`;
/** The same, deaf to SIGTERM. */
const stubborn = `trap '' TERM; echo $$; sleep 1000 & echo $!; setsid sh -c 'echo $$; sleep 1000 & echo $!; wait' & while :; do wait; done`;

function isRunning(pid: number): boolean {
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${String(pid)}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

/** Runs the script, ends it by what `stop` gives once `count` pids are known, and gives the pids and the error. */
async function startAndStop(
  script: string,
  count: number,
  stop: (controller: AbortController) => void,
  options: RunOptions = {},
): Promise<{ pids: number[]; error: unknown }> {
  const pids: number[] = [];
  const controller = new AbortController();
  const error: unknown = await run(['sh', '-c', script], {
    ...options,
    signal: controller.signal,
    onLine: ({ text }) => {
      pids.push(Number(text));
      if (pids.length !== count) return;
      expect(pids.map(isRunning)).toEqual(pids.map(() => true));
      stop(controller);
    },
  }).catch((caught: unknown) => caught);
  return { pids, error };
}

describe('ending a program', () => {
  it('ends everything that it started, also what left its process group', async () => {
    const { pids, error } = await startAndStop(family, 5, (controller) => {
      controller.abort();
    });
    expect(error).toMatchObject({ code: 'INTERRUPTED', message: 'sh was interrupted.' });
    expect(pids).toHaveLength(5);
    expect(pids.filter(isRunning)).toEqual([]);
  });

  it('kills what does not listen', async () => {
    const { pids, error } = await startAndStop(
      stubborn,
      4,
      (controller) => {
        controller.abort();
      },
      { killGraceMs: 100 },
    );
    expect(error).toMatchObject({ code: 'INTERRUPTED' });
    expect(pids.filter(isRunning)).toEqual([]);
  });

  it('gives the reason of the signal where that is an error of ours', async () => {
    const reason = new DevstackError({ code: 'LEASE_LOST', message: 'lost' });
    const { error } = await startAndStop(family, 5, (controller) => {
      controller.abort(reason);
    });
    expect(error).toBe(reason);
    await expect(run(['true'], { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  });

  it('happens after the time that it was given', async () => {
    const pids: number[] = [];
    const running = run(['sh', '-c', family], { timeoutMs: 500, onLine: ({ text }) => pids.push(Number(text)) });
    await expect(running).rejects.toMatchObject({
      code: 'COMMAND_TIMED_OUT',
      details: { program: 'sh', timeoutMs: 500 },
    });
    expect(pids).toHaveLength(5);
    expect(pids.filter(isRunning)).toEqual([]);
  });

  it('happens when this process exits', async () => {
    const script = fileURLToPath(new URL('../test/run-and-exit.ts', import.meta.url));
    const { stdout } = await run([process.execPath, '-C', '@devstack-core/source', script]);
    await expect.poll(() => isRunning(Number(stdout)), { timeout: 5000 }).toBe(false);
  });
});

describe('an interactive program', () => {
  const script = fileURLToPath(new URL('../test/interactive.ts', import.meta.url));
  const interactive = async (...args: string[]): Promise<string> => {
    const { stdout, stderr } = await run([process.execPath, '-C', '@devstack-core/source', script, ...args], {
      stdin: 'typed',
    });
    return stdout + stderr;
  };

  it('has the streams of this process, and its exit code comes back', async () => {
    expect(await interactive('', 'cat')).toBe('typedcode 0\n');
    expect(await interactive('', 'sh', '-c', 'exit 7')).toBe('code 7\n');
    expect(await interactive('', 'sh', '-c', 'kill -9 $$')).toBe('code 137\n');
  });

  it('runs in this process, too', async () => {
    expect(await runInteractive(['sh', '-c', 'read word; test "$word" = typed'], { stdin: 'typed', cwd: '/' })).toBe(0);
    expect(await runInteractive(['sh', '-c', 'kill -9 $$'], { stdin: '' })).toBe(137);
    await expect(runInteractive(['no-such-program-here'], { stdin: '' })).rejects.toMatchObject({
      code: 'COMMAND_NOT_FOUND',
    });
  });

  it('takes a secret instead of the terminal', async () => {
    expect(await interactive('hidden', 'cat')).toBe('hiddencode 0\n');
  });

  it('may be missing', async () => {
    expect(await interactive('', 'no-such-program-here')).toBe('error COMMAND_NOT_FOUND\n');
    expect(await interactive('', '/etc/passwd')).toBe('error COMMAND_NOT_STARTED\n');
  });

  it('gets Ctrl-C, which does not end this process', async () => {
    const child = spawn(
      process.execPath,
      [
        '-C',
        '@devstack-core/source',
        script,
        '',
        'sh',
        '-c',
        'trap "echo caught; exit 5" INT; echo ready; while :; do sleep 0.05; done',
      ],
      { detached: true, stdio: ['ignore', 'pipe', 'pipe'] },
    );
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk: Buffer) => {
        output += chunk.toString();
        // A terminal sends the signal to the whole foreground group.
        if (chunk.toString().includes('ready')) process.kill(-(child.pid ?? 0), 'SIGINT');
      });
    }
    await new Promise((resolve) => child.once('close', resolve));
    expect(output).toBe('ready\ncaught\ncode 5\n');
  });
});
