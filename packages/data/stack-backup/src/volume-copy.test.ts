import type { DockerEngine } from '@devstack-core/docker-engine';
import { describe, expect, it } from 'vitest';
import { fakeDocker } from '../test/fake-docker.ts';
import { temporaryFolder } from '../test/folder.ts';
import { assertVolumesUnused, copyVolume } from './volume-copy.ts';

describe('a copy of a volume', () => {
  it('is made anew, and is none when it could not be finished', async () => {
    await using folder = await temporaryFolder();
    const docker = fakeDocker(folder.path);
    await docker.ensureVolume({ name: 'from', labels: {} });
    const about = { from: 'from', to: 'to', labels: { of: 'p' }, signal: new AbortController().signal };
    await copyVolume(docker, about);
    await copyVolume(docker, about);
    expect((await docker.inspectVolume('to'))?.labels).toEqual({ of: 'p' });
    const full = {
      ...docker,
      runEphemeral: () => Promise.resolve({ exitCode: 1, stdout: '', stderr: 'no space left' }),
    };
    await expect(copyVolume(full as unknown as DockerEngine, about)).rejects.toMatchObject({
      code: 'COPY_FAILED',
      message: expect.stringContaining('no space left') as string,
    });
    expect(await docker.inspectVolume('to')).toBeUndefined();
  });
});

describe('a volume in use', () => {
  const docker = (volume: string): Parameters<typeof assertVolumesUnused>[0] =>
    ({
      listContainers: () => Promise.resolve([{ id: 'gone' }, { id: 'there' }]),
      inspectContainer: (id: string) =>
        id === 'gone'
          ? Promise.reject(new Error('no such container'))
          : Promise.resolve({ name: 'browser', mounts: [{ name: volume }] }),
    }) as unknown as DockerEngine;

  it('is told with its user; one of nobody is fine', async () => {
    await expect(assertVolumesUnused(docker('p_data'), ['p_data'])).rejects.toMatchObject({
      code: 'VOLUME_IN_USE',
      details: { container: 'browser', volume: 'p_data' },
    });
    await assertVolumesUnused(docker('other'), ['p_data']);
    await assertVolumesUnused(docker('p_data'), []);
  });
});
