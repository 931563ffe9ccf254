import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Secret } from '@devstack-core/redaction';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { watchProcesses } from './index.ts';
import { watchThread, type WatchNews, type WatchOrders } from './watch-thread.ts';

const value = 'c0rrect-h0rse-battery';
const needles = [{ value: new Secret(value), label: 'secret/db', field: 'password' }];
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'credential-watch-test-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function shell(script: string, ...args: readonly string[]): Promise<number> {
  const child = spawn('sh', ['-c', script, 'sh', ...args], { stdio: 'ignore' });
  return ((await once(child, 'close')) as [number])[0];
}

describe('watching by sampling', () => {
  it('finds a value in the arguments and the environment of a child, and says that it may have missed others', async () => {
    const { value: code, ...result } = await watchProcesses({
      needles,
      mode: 'sampling',
      pollMs: 5,
      run: () => shell('sleep 0.3; A="$1" sleep 0.3; exit 4', value),
    });
    expect(code).toBe(4);
    expect(result).toMatchObject({ mode: 'sampling', modeReason: 'sampling was asked for', pollMs: 5 });
    expect(result.processesSeen).toBeGreaterThanOrEqual(2);
    expect(new Set(result.report.findings.map(({ ruleId }) => ruleId))).toEqual(
      new Set(['secret-in-process-arguments', 'secret-in-process-environment']),
    );
    expect(JSON.stringify(result)).not.toContain(value);
    expect(result.report.notChecked).toContainEqual(expect.objectContaining({ subject: 'short-lived processes' }));
  });

  it('is no pass, even where nothing was found, and tells values that cannot be searched for', async () => {
    const short = { value: new Secret('short'), label: 'secret/db', field: 'password' };
    const { report } = await watchProcesses({
      needles: [...needles, short],
      mode: 'sampling',
      run: () => shell('sleep 0.1'),
    });
    expect(report.verdict).toBe('incomplete');
    expect(report.notChecked.map(({ subject }) => subject)).toEqual(['secret/db password', 'short-lived processes']);
  });

  it('is refused where there is no /proc', async () => {
    const nowhere = { needles, mode: 'sampling', procRoot: join(folder, 'none'), run: () => 1 } as const;
    await expect(watchProcesses(nowhere)).rejects.toMatchObject({ code: 'WATCH_IMPOSSIBLE' });
  });

  it('fails as what is watched fails, and with the signal', async () => {
    const failing = watchProcesses({
      needles,
      mode: 'sampling',
      run: () => Promise.reject(new Error('the backup failed')),
    });
    await expect(failing).rejects.toThrow('the backup failed');
    const signal = AbortSignal.abort();
    await expect(watchProcesses({ needles, run: () => 1, signal })).rejects.toMatchObject({ code: 'INTERRUPTED' });
  });
});

describe('the thread', () => {
  const orders = (rest: Partial<WatchOrders>): WatchOrders => ({
    ...{ procRoot: folder, tracePipe: undefined, pollMs: 1, begin: 'BEGIN', end: 'END', priority: undefined },
    stop: new Int32Array(new SharedArrayBuffer(4)).fill(1),
    ...rest,
  });
  const news = (given: WatchOrders): WatchNews[] => {
    const told: WatchNews[] = [];
    watchThread(given, (one) => told.push(one));
    return told;
  };
  const proc = async (pid: string, files: Readonly<Record<string, string | undefined>>): Promise<void> => {
    await mkdir(join(folder, pid), { recursive: true });
    for (const [name, content] of Object.entries(files)) {
      if (content === undefined) await mkdir(join(folder, pid, name));
      else await writeFile(join(folder, pid, name), content);
    }
  };

  it('reads each process that an event names, from the first line of ours to the last', async () => {
    await proc('7', { cmdline: 'psql\0', environ: 'A=b\0' });
    await proc('8', { cmdline: undefined, environ: '' });
    const exec = (pid: string, file: string): string =>
      `  sh-${pid} [001] ..... 12.3: sched_process_exec: filename=${file} pid=${pid} old_pid=${pid}\n`;
    const pipe = join(folder, 'trace');
    const mark = (text: string): string => `  node-42 [000] ..... 12.2: tracing_mark_write: ${text}\n`;
    const lines = [
      exec('7', '/bin/before'),
      mark('BEGIN'),
      exec('7', '/usr/bin/psql'),
      'sched: other\n',
      exec('8', 'closed'),
      exec('9', '/bin/a b'),
      mark('END'),
    ];
    await writeFile(pipe, lines.join(''));
    const [thread, ...told] = news(orders({ tracePipe: pipe, priority: 1000 }));
    expect(thread?.type).toBe('thread');
    expect(told).toEqual([
      { type: 'ready', pid: 42 },
      { type: 'process', pid: 7, name: 'psql', cmdline: Buffer.from('psql\0'), environ: Buffer.from('A=b\0') },
      { type: 'process', pid: 8, name: 'closed', refused: 'EISDIR' },
      { type: 'process', pid: 9, name: 'a b' },
      { type: 'end' },
    ]);
  });

  it('samples what was not there before, until its arguments stay the same', async () => {
    const stat = (start: number): string => `1 (a b) S ${'0 '.repeat(18)}${String(start)} 0`;
    await proc('20', { cmdline: 'old\0', environ: '', stat: stat(1), comm: 'old\n' });
    const told: WatchNews[] = [];
    const stop = new Int32Array(new SharedArrayBuffer(4));
    const { mkdirSync, writeFileSync } = await import('node:fs');
    watchThread(orders({ stop }), (one) => {
      told.push(one);
      if (one.type === 'ready') {
        mkdirSync(join(folder, '21'));
        for (const [name, text] of Object.entries({ cmdline: 'sh\0', environ: '', stat: stat(5), comm: 'sh\n' }))
          writeFileSync(join(folder, '21', name), text);
      } else if (one.type === 'process') {
        writeFileSync(join(folder, '21', 'cmdline'), 'psql\0');
        writeFileSync(join(folder, '21', 'comm'), 'psql\n');
        if (one.name === 'psql') Atomics.store(stop, 0, 1);
      }
    });
    expect(told.flatMap((one) => (one.type === 'process' ? [one.name] : []))).toEqual(['sh', 'psql']);
    expect(told.at(-1)).toEqual({ type: 'end' });
  });
});
