import {
  openPhysicalBackup,
  physicalBaseKind,
  volumeAdapter,
  walArchiveState,
  type BackupPart,
} from '@devstack-core/database-backup';
import type { Stack } from '@devstack-core/stack-lifecycle';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { storeIn } from '../test/fake-service.ts';
import { dependentsOf } from './dependents.ts';
import { physicalSources, type PhysicalSources } from './physical-source.ts';

vi.mock(import('@devstack-core/database-backup'), async (original) => ({
  ...(await original()),
  openPhysicalBackup: vi.fn(),
  walArchiveState: vi.fn(),
}));
const files = vi.spyOn(volumeAdapter, 'open');

let calls: string[];
const of = (kind: string, failure?: Error) =>
  async function* opened(): AsyncGenerator<BackupPart, void, undefined> {
    await Promise.resolve();
    calls.push(kind);
    if (failure !== undefined) throw failure;
    yield { kind, name: kind, metadata: { link: 0 } } as unknown as BackupPart;
  };

function sources(withForgejo = true): PhysicalSources {
  const noted = (name: string) => (id: string) => Promise.resolve(void calls.push(`${name} ${id}`));
  const docker = {
    pauseContainer: noted('pause'),
    unpauseContainer: noted('go on'),
    inspectContainer: () => Promise.resolve({ image: 'forgejo:local' }),
  };
  const forgejo = { docker, container: 'git', application: 'gitea', volume: {} };
  const options = { postgres: {}, holds: ['forgejo'], store: storeIn('/nowhere'), parent: undefined };
  return physicalSources({ ...options, ...(withForgejo ? { forgejo } : {}) } as never);
}

async function readAll(opened: PhysicalSources): Promise<readonly BackupPart[]> {
  await using held = opened;
  const parts: BackupPart[] = [];
  for (const { open } of held.sources) parts.push(...(await Array.fromAsync(open({}))));
  return parts;
}

beforeEach(() => {
  calls = [];
  vi.mocked(walArchiveState).mockResolvedValue({ mode: 'on' } as never);
  vi.mocked(openPhysicalBackup).mockImplementation(of(physicalBaseKind));
  files.mockImplementation(of('volume'));
});

describe('a physical set', () => {
  it('holds repositories of the moment of the cluster: nothing is pushed from before the one until after the other', async () => {
    const parts = await readAll(sources());
    expect(calls).toEqual(['pause git', physicalBaseKind, 'volume', 'go on git']);
    expect(parts.map(({ metadata }) => metadata)).toEqual([
      { link: 0, holds: ['forgejo'] },
      { link: 0, application: 'gitea', applicationImage: 'forgejo:local', databaseIn: 'postgres' },
    ]);
  });

  it('lets it go on when something fails', async () => {
    vi.mocked(openPhysicalBackup).mockImplementation(of('cluster', new Error('no backup')));
    await expect(readAll(sources())).rejects.toThrow('no backup');
    expect(calls).toEqual(['pause git', 'cluster', 'go on git']);
  });

  it('has the log where it is archived, and pauses nobody where there is no Forgejo', async () => {
    await readAll(sources(false));
    expect(vi.mocked(openPhysicalBackup).mock.lastCall?.[1]).toMatchObject({
      archive: '/var/lib/devstack/wal-archive',
      noParentReason: 'a full one was asked for',
    });
    vi.mocked(walArchiveState).mockResolvedValue({ mode: 'off' } as never);
    await readAll(sources(false));
    expect(vi.mocked(openPhysicalBackup).mock.lastCall?.[1]).not.toHaveProperty('archive');
    expect(calls).toEqual([physicalBaseKind, physicalBaseKind]);
  });
});

it('what needs PostgreSQL stops before it, and what needs that even earlier', () => {
  const services = [
    { name: 'vault', dependsOn: [] },
    { name: 'postgres', dependsOn: ['vault'] },
    { name: 'forgejo', dependsOn: ['postgres'] },
    { name: 'runner', dependsOn: ['forgejo'] },
    { name: 'redis-1', dependsOn: ['vault'] },
  ];
  const stack = { model: { services } } as unknown as Pick<Stack, 'model'>;
  expect(dependentsOf(stack, 'postgres')).toEqual(['runner', 'forgejo']);
});
