import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { connectDocker, type DockerEngine, type RunningProgram } from '@devstack-core/docker-engine';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { execSupervised } from './supervised-program.ts';
import { startThrowaway } from './throwaway.ts';

const labels = { 'io.devstack.test': `supervised-${randomBytes(4).toString('hex')}` };
let docker: DockerEngine;
let place: Awaited<ReturnType<typeof startThrowaway>>;

beforeAll(async () => {
  docker = await connectDocker();
  place = await startThrowaway({
    docker,
    image: 'devstack/base:local',
    labels,
    what: 'container',
    argv: ['sleep', 'infinity'],
    user: '1000:1000',
  });
});
afterAll(async () => {
  await place.remove();
  await docker[Symbol.asyncDispose]();
});

// Ends well, with every buffer on the way to its reader full, and tells on demand how much it has written.
const untilFull = ['sh', '-c', 'timeout --signal INT 3 dd if=/dev/zero bs=4096 2>"$0"; exit 0'] as const;

/** How many of the bytes that a program wrote did not arrive at a reader that came late. */
async function lost(
  run: (argv: readonly [string, ...string[]]) => Promise<RunningProgram>,
  tally: string,
): Promise<number> {
  const program = await run([...untilFull, tally]);
  // Three seconds until the program ends, two until the engine throws away what it still holds.
  await delay(7000);
  let arrived = 0;
  for await (const chunk of program.stdout) arrived += chunk.length;
  expect((await program.ended).exitCode).toBe(0);
  const { stdout } = await docker.exec(place.id, ['cat', tally]);
  const [, blocks, part] = /^(\d+)\+(\d) records out$/m.exec(stdout) ?? [];
  expect(part).toBe('0');
  return Number(blocks) * 4096 - arrived;
}

describe('what a program wrote', () => {
  it('arrives whole at a reader that pauses while it ends; the control, without a supervisor, is cut', async () => {
    const supervised = (argv: readonly [string, ...string[]]): Promise<RunningProgram> =>
      execSupervised({ docker, container: place.id }, argv);
    expect(await lost(supervised, '/tmp/supervised')).toBe(0);
    expect(await lost((argv) => docker.execStream(place.id, argv), '/tmp/plain')).toBeGreaterThan(0);
  });

  it('is never taken for whole where its end does not arrive', async () => {
    // What no engine does at will: the end is missing, and the program is said to have ended well.
    const cut = async function* (): AsyncGenerator<Uint8Array, void, undefined> {
      yield await Promise.resolve(Buffer.from('al'));
    };
    const execStream: DockerEngine['execStream'] = () =>
      Promise.resolve({ stdout: cut(), ended: Promise.resolve({ exitCode: 0, stderr: '' }) });
    const program = await execSupervised({ docker: { ...docker, execStream }, container: place.id }, ['echo', 'all']);
    const reading = (async () => {
      for await (const _ of program.stdout);
    })();
    await expect(reading).rejects.toMatchObject({ code: 'DUMP_FAILED' });
  });

  it('ends with the exit code of the program, whatever that is', async () => {
    const program = await execSupervised({ docker, container: place.id }, ['sh', '-c', 'echo half; exit 7']);
    const chunks = await Array.fromAsync(program.stdout);
    expect(Buffer.concat(chunks).toString()).toBe('half\n');
    expect((await program.ended).exitCode).toBe(7);
  });
});
