import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** What every set of these tests holds: the second text must be found nowhere in clear. */
export const killedContents = {
  postgres: { app: 'CREATE TABLE t();\n' },
  vault: { keys: 'a-secret-that-nobody-may-read' },
};

/** Where a kill hit. */
export interface Killed {
  /** The last step that the process told of; `start` before the first. */
  readonly lastStep: string;
  /** Whether it was done before it could be killed. */
  readonly isFinished: boolean;
}

/** Starts a scenario in a process of its own and kills it with SIGKILL at the step, the time given, or not at all. */
export async function runAndKill(directory: string, scenario: string, stopAt: string, count = 1): Promise<Killed> {
  const script = fileURLToPath(new URL('run-scenario.ts', import.meta.url));
  const child = spawn(
    process.execPath,
    ['-C', '@devstack-core/source', script, directory, scenario, stopAt, String(count)],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const exited = once(child, 'exit');
  let lastStep = 'start';
  let isFinished = false;
  for await (const line of createInterface({ input: child.stdout })) {
    if (line === 'finished') isFinished = true;
    else if (line !== 'stopped') lastStep = line;
    else child.kill('SIGKILL');
  }
  await exited;
  return { lastStep, isFinished };
}
