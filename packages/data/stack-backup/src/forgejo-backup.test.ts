import {
  holdSnapshot,
  postgresAdapter,
  postgresDatabasePart,
  volumeAdapter,
  type BackupPart,
  type StoredPart,
} from '@devstack-core/database-backup';
import type { DockerEngine } from '@devstack-core/docker-engine';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { forgejoBackup } from './forgejo-backup.ts';

vi.mock(import('@devstack-core/database-backup'));

let calls: string[];
const part = (kind: string): BackupPart => ({ kind, name: kind, metadata: { owner: 'git' } }) as unknown as BackupPart;
const disposable = { [Symbol.asyncDispose]: () => Promise.resolve() };

// Each call of the engine by its name, in order.
function docker(): DockerEngine {
  const noted = (name: string) => (id: string) => Promise.resolve(void calls.push(`${name} ${id}`));
  const names = ['pauseContainer', 'unpauseContainer', 'stopContainer', 'startContainer', 'removeVolume'];
  const copy = { runEphemeral: () => Promise.resolve({ exitCode: 0, stdout: '', stderr: void calls.push('copy') }) };
  const inspect = { inspectContainer: () => Promise.resolve({ image: 'devstack/forgejo:local' }) };
  const all = Object.fromEntries(names.map((name) => [name, noted(name)]));
  return { ...all, ...copy, ...inspect } as unknown as DockerEngine;
}

function backup(): ReturnType<typeof forgejoBackup> {
  const place = { docker: docker(), project: 'p', container: 'git', application: 'gitea', database: 'gitea' };
  const volume = { docker: place.docker, volume: 'data', image: 'i', labels: {} };
  return forgejoBackup({ ...place, postgres: {}, volume } as never);
}

beforeEach(() => {
  vi.resetAllMocks();
  calls = [];
  const of = (kind: string) =>
    async function* opened(): AsyncGenerator<BackupPart, void, undefined> {
      await Promise.resolve();
      calls.push(kind);
      yield part(kind);
    };
  vi.mocked(holdSnapshot).mockResolvedValue(disposable as never);
  vi.mocked(volumeAdapter.open).mockImplementation(of('volume'));
  vi.mocked(postgresAdapter.open).mockImplementation(of('postgresql-globals'));
  vi.mocked(postgresDatabasePart).mockResolvedValue({ ...part('postgresql-database'), ...disposable });
});

const stored = (kind: string, application = 'gitea'): StoredPart =>
  ({ kind, name: kind, metadata: { application } }) as unknown as StoredPart;
const nothing = (): AsyncIterable<Uint8Array> => ReadableStream.from<Uint8Array>([]);

describe('Git hosting', () => {
  it('is paused for its files alone, and each part knows the application', async () => {
    const parts = await Array.fromAsync(backup().open({ signal: new AbortController().signal }));
    expect(parts.map(({ kind, metadata }) => [kind, metadata])).toEqual(
      ['volume', 'postgresql-globals', 'postgresql-database'].map((kind) => [
        kind,
        { owner: 'git', application: 'gitea', applicationImage: 'devstack/forgejo:local' },
      ]),
    );
    expect(calls).toEqual(['pauseContainer git', 'volume', 'unpauseContainer git', 'postgresql-globals']);
  });

  it('goes on when its backup fails', async () => {
    vi.mocked(holdSnapshot).mockRejectedValue(new Error('no snapshot'));
    await expect(Array.fromAsync(backup().open({}))).rejects.toThrow('no snapshot');
    expect(calls).toEqual(['pauseContainer git', 'unpauseContainer git']);
  });

  it('is stopped until what came back was compared', async () => {
    const git = backup();
    await git.restore(stored('postgresql-database'), nothing());
    await git.restore(stored('volume'), nothing());
    await git.fingerprint(stored('volume'));
    await git.fingerprint(stored('postgresql-database'));
    await git.settle?.();
    expect(calls).toEqual([
      'stopContainer git',
      'stopContainer git',
      'removeVolume data.restored',
      'copy',
      'removeVolume data.restored',
      'stopContainer git',
      'stopContainer git',
      'startContainer git',
    ]);
    const [place, restored] = vi.mocked(volumeAdapter.restore).mock.calls[0] ?? [];
    expect(place).toMatchObject({ volume: 'data.restored' });
    // As a reset finds it when this is killed.
    expect(restored?.metadata).toEqual({ labels: ['io.devstack.volume-copy=p'] });
  });

  it('does not take the data of another application', async () => {
    await expect(backup().restore(stored('volume', 'forgejo'), nothing())).rejects.toMatchObject({
      code: 'ENGINE_MISMATCH',
    });
    expect(calls).toEqual([]);
  });
});
