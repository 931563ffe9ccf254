import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { DevstackError } from '@devstack-core/errors';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../test/folder.ts';
import { startDockerEngine, waysToStart, type EngineStart, type EngineStarterOptions, type Machine } from './index.ts';

const dockerd = { logFile: '/var/log/dockerd.log', arguments: ['--debug'] };
const linux = {
  platform: 'linux' as const,
  address: 'unix:///var/run/docker.sock',
  context: 'default' as string | undefined,
  isRoot: true,
  hasSystemd: true,
  which: (program: string) => Promise.resolve<string | undefined>(`/usr/bin/${program}`),
  exists: () => true,
};
const nothing = { which: () => Promise.resolve(undefined), exists: () => false };

describe('the ways to start Docker', () => {
  it.each([
    ['Linux with systemd', linux, ['systemctl start docker', 'service docker start', 'dockerd']],
    [
      'as another user',
      { ...linux, isRoot: false, exists: () => false },
      ['sudo --non-interactive systemctl start docker', 'dockerd'],
    ],
    ['without systemd', { ...linux, hasSystemd: false }, ['service docker start', 'dockerd']],
    ['with dockerd alone', { ...linux, hasSystemd: false, exists: () => false }, ['dockerd']],
    ['with nothing', { ...linux, ...nothing, hasSystemd: false }, []],
    ['rootless', { ...linux, address: 'unix:///run/user/1000/docker.sock' }, ['systemctl --user start docker']],
    ['rootless without systemd', { ...linux, address: 'unix:///run/user/1000/docker.sock', hasSystemd: false }, []],
    ['Colima', { ...linux, context: 'colima' }, ['colima start']],
    ['a profile of Colima', { ...linux, context: 'colima-work' }, ['colima start --profile work']],
    [
      "Colima's socket",
      { ...linux, context: undefined, address: 'unix:///Users/a/.colima/work/docker.sock' },
      ['colima start --profile work'],
    ],
    ['Docker Desktop on Linux', { ...linux, context: 'desktop-linux' }, ['systemctl --user start docker-desktop']],
    [
      "Docker Desktop's socket",
      { ...linux, platform: 'darwin' as const, context: undefined, address: 'unix:///Users/a/.docker/run/docker.sock' },
      ['open --background -a Docker'],
    ],
    ['macOS with Colima', { ...linux, platform: 'darwin' as const }, ['colima start']],
    ['macOS without', { ...linux, ...nothing, platform: 'darwin' as const }, ['open --background -a Docker']],
  ])('%s', async (_, around, expected) => {
    const ways = await waysToStart(around, dockerd);
    expect(ways.map(({ name, argv }) => (name === 'dockerd' ? 'dockerd' : argv.join(' ')))).toEqual(expected);
  });

  it('gives dockerd its log and its arguments', async () => {
    const [way] = await waysToStart({ ...linux, hasSystemd: false, exists: () => false }, dockerd);
    expect(way?.argv.slice(-2)).toEqual(['/var/log/dockerd.log', '--debug']);
  });
});

describe('starting Docker', () => {
  it('does nothing where it runs', async () => {
    const start = await startDockerEngine({
      env: {},
      logFile: '/dev/null',
      machine: { ping: () => Promise.resolve() },
    });
    expect(start).toMatchObject({ way: 'running', did: ['Docker was running'] });
  });

  it.each([
    ['systemd', { hasSystemd: true }, { systemctl: 'touch "$HOME/up"' }, 'started Docker by systemctl start docker'],
    [
      'service',
      { hasSystemd: false, exists: () => true },
      { service: 'test "$1 $2" = "docker start" && touch "$HOME/up"' },
      'started Docker by service docker start',
    ],
    [
      'dockerd',
      { hasSystemd: false },
      { dockerd: 'echo "log: $*"; touch "$HOME/up"; sleep 1' },
      'started Docker by dockerd',
    ],
    [
      'dockerd',
      { hasSystemd: true },
      { systemctl: 'echo "no such unit" >&2; exit 5', dockerd: 'touch "$HOME/up"' },
      'started Docker by dockerd',
    ],
  ] as const)('by %s', async (way, machine, programs, did) => {
    await using place = await machineWith(programs);
    const start = await place.start(machine);
    expect(start.way).toBe(way);
    expect(start.did.at(-1)).toBe(did);
  });

  it.each([
    ['colima', 'colima', { colima: 'test "$1" = start && touch "$HOME/up"' }],
    ['docker-desktop', 'desktop-linux', { systemctl: 'test "$*" = "--user start docker-desktop" && touch "$HOME/up"' }],
  ] as const)('by %s where its context is in use', async (way, context, programs) => {
    await using place = await machineWith(programs);
    await place.addContext(context, `unix://${place.path}/docker.sock`);
    expect((await place.start({ hasSystemd: true }, { DOCKER_CONTEXT: context })).way).toBe(way);
  });

  it('writes what dockerd says into its log, and dockerd outlives the call', async () => {
    await using place = await machineWith({
      dockerd: 'echo "log: $*"; touch "$HOME/up"; sleep 0.5; touch "$HOME/later"',
    });
    await place.start({ hasSystemd: false });
    await expect.poll(() => existsSync(join(place.path, 'later')), { timeout: 10_000 }).toBe(true);
    expect(await readFile(join(place.path, 'dockerd.log'), 'utf8')).toBe('log: --data-root /x\n');
  });

  it('passes no secret of the environment on', async () => {
    await using place = await machineWith({ systemctl: 'env > "$HOME/seen"; touch "$HOME/up"' });
    await place.start(
      { hasSystemd: true },
      { VAULT_BACKUP_PASSPHRASE: 'correct horse battery', DOCKER_CONFIG: place.path },
    );
    const seen = await readFile(join(place.path, 'seen'), 'utf8');
    expect(seen).not.toContain('horse');
    expect(seen).toContain('DOCKER_CONFIG=');
  });

  it('says what was tried when nothing helps', async () => {
    await using place = await machineWith({ systemctl: 'echo "no such unit" >&2; exit 5', dockerd: 'exit 1' });
    await expect(place.start({ hasSystemd: true })).rejects.toMatchObject({
      code: 'ENGINE_NOT_STARTED',
      details: { tried: [expect.stringContaining('no such unit'), expect.stringContaining('did not answer')] },
    });
    await using empty = await machineWith({});
    await expect(empty.start({ hasSystemd: false })).rejects.toMatchObject({
      code: 'ENGINE_NOT_STARTED',
      details: { tried: [] },
    });
  });

  it('starts nothing for an engine on another machine, and nothing that runs but refuses', async () => {
    await using place = await machineWith({ systemctl: 'touch "$HOME/up"' });
    await expect(place.start({}, { DOCKER_HOST: 'ssh://user@elsewhere' })).rejects.toMatchObject({
      code: 'ENGINE_REMOTE',
    });
    const refused = new DevstackError({ code: 'DOCKER_PERMISSION_DENIED', message: 'no' });
    await expect(place.start({ ping: () => Promise.reject(refused) })).rejects.toMatchObject({
      code: 'DOCKER_PERMISSION_DENIED',
    });
    expect(existsSync(join(place.path, 'up'))).toBe(false);
  });

  it('stops when it is told to', async () => {
    await using place = await machineWith({ systemctl: 'sleep 60' });
    const signal = AbortSignal.timeout(100);
    await expect(place.start({ hasSystemd: true }, {}, { signal })).rejects.toMatchObject({ code: 'INTERRUPTED' });
  });
});

interface FakeMachine extends AsyncDisposable {
  readonly path: string;
  start(
    machine: Partial<Machine>,
    env?: Record<string, string>,
    more?: Partial<EngineStarterOptions>,
  ): Promise<EngineStart>;
  addContext(name: string, address: string): Promise<void>;
}

/** A machine whose only programs are these, and whose Docker answers as soon as `$HOME/up` is there. */
async function machineWith(programs: Readonly<Record<string, string>>): Promise<FakeMachine> {
  const folder = await temporaryFolder();
  const bin = join(folder.path, 'bin');
  await mkdir(bin);
  for (const [name, script] of Object.entries(programs)) {
    await writeFile(join(bin, name), `#!/bin/sh\nPATH=/usr/bin:/bin\n${script}\n`);
    await chmod(join(bin, name), 0o755);
  }
  // What every machine has.
  for (const name of ['sh', 'setsid'])
    await writeFile(
      join(bin, name),
      `#!/bin/sh\nexec /usr/bin/env PATH="$PATH" ${name === 'sh' ? '/bin/sh' : '/usr/bin/setsid'} "$@"\n`,
      { mode: 0o755 },
    );
  const ping = (): Promise<void> =>
    existsSync(join(folder.path, 'up')) ? Promise.resolve() : Promise.reject(new Error('no answer'));
  return {
    path: folder.path,
    start: (machine, env = {}, more = {}) =>
      startDockerEngine({
        env: { PATH: bin, HOME: folder.path, DOCKER_CONFIG: folder.path, ...env },
        logFile: join(folder.path, 'dockerd.log'),
        dockerdArguments: ['--data-root', '/x'],
        readyWithinMs: 3000,
        machine: { platform: 'linux', isRoot: true, exists: () => false, ping, ...machine },
        ...more,
      }),
    async addContext(name, address) {
      const { createHash } = await import('node:crypto');
      const directory = join(folder.path, 'contexts', 'meta', createHash('sha256').update(name).digest('hex'));
      await mkdir(directory, { recursive: true });
      await writeFile(
        join(directory, 'meta.json'),
        JSON.stringify({ Name: name, Endpoints: { docker: { Host: address } } }),
      );
    },
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
}
