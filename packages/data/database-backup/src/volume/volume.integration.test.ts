import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { connectDocker, type DockerEngine } from '@devstack-core/docker-engine';
import { pack } from 'tar-stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { chunked, dumpAll, first, type DumpedPart } from '../../test/parts.ts';
import { compareFingerprints } from '../fingerprint.ts';
import { startThrowaway } from '../throwaway.ts';
import { volumeAdapter } from './volume-adapter.ts';
import type { VolumePlace } from './volume-place.ts';

const image = 'devstack/base:local';
const prefix = `volume-test-${randomBytes(4).toString('hex')}`;
const labels = { 'io.devstack.test': prefix };
const own = { ...labels, 'com.docker.compose.project': 'x', 'io.devstack.role': 'ä = "b"' };
let docker: DockerEngine;
let place: VolumePlace;
let part: DumpedPart;

const awkward = `set -e; cd /volume
chown 1234:5678 .; chmod 3770 .
mkdir -p "deep/er/leer ünd 日本" empty; chmod 700 empty
echo one > plain; chmod 640 plain; chown 1000:1001 plain
printf 'x%.0s' $(seq 1 5000) > "deep/er/leer ünd 日本/$(printf 'n%.0s' $(seq 1 200))"
printf raw > "$(printf 'raw-\\377\\376')"; printf nl > "$(printf 'new\\nline')"
ln -s plain to-plain; ln -s /etc/passwd absolute; ln -s nowhere dangling; ln plain second
mkfifo pipe; chmod 4755 plain
truncate -s 50M sparse; printf end >> sparse; printf mid | dd of=sparse bs=1 seek=1000000 conv=notrunc status=none
: > nothing`;

beforeAll(async () => {
  docker = await connectDocker();
  await docker.ensureVolume({ name: `${prefix}-source`, labels: own });
  place = { docker, volume: `${prefix}-source`, image, labels };
  await inVolume(place.volume, awkward);
  part = first(await dumpAll(volumeAdapter, place));
});

afterAll(async () => {
  for (const { name } of await docker.listVolumes({ labels })) await docker.removeVolume(name);
  expect(await docker.listContainers({ all: true, labels })).toEqual([]);
  await docker[Symbol.asyncDispose]();
});

async function inVolume(volume: string, script: string): Promise<string> {
  const { exitCode, stdout, stderr } = await docker.runEphemeral({
    image,
    argv: ['sh', '-c', script],
    binds: [`${volume}:/volume:nocopy`],
    user: '0:0',
    capAdd: ['CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'FSETID'],
    labels,
  });
  expect([exitCode, stderr]).toEqual([0, '']);
  return stdout;
}

const listing = `cd /volume; find . -printf '%p %y %m %U %G %s %l %n\\n' | sort; find . -type f -exec sha256sum {} + | sort; du -k sparse`;

async function differences(volume: string): Promise<readonly string[]> {
  const actual = await volumeAdapter.fingerprint({ ...place, volume }, part.stored);
  return compareFingerprints(part.fingerprint, actual).map(({ problem, name }) => `${problem}: ${name}`);
}

describe('a volume', { timeout: 180_000 }, () => {
  it('comes back with owners, modes, links, holes, odd names and its labels', async () => {
    expect(part.stored).toMatchObject({
      name: place.volume,
      kind: 'volume',
      consistency: 'exact',
      engine: { name: 'volume' },
    });
    // The holes are not in the archive.
    expect(part.bytes.length).toBeLessThan(1024 * 1024);
    const volume = `${prefix}-restored`;
    await volumeAdapter.restore({ ...place, volume }, part.stored, chunked(part.bytes, 4096));
    expect(await differences(volume)).toEqual([]);
    expect(await volumeAdapter.check({ ...place, volume }, part.stored)).toEqual([]);
    // Another witness than our own reader.
    const sizes = /\d+\tsparse/g;
    const restored = await inVolume(volume, listing);
    expect(restored.replace(sizes, '')).toBe((await inVolume(place.volume, listing)).replace(sizes, ''));
    expect(Number(/(\d+)\tsparse/.exec(restored)?.[1])).toBeLessThan(1000);
    expect((await docker.inspectVolume(volume))?.labels).toEqual(own);
    expect(() => execFileSync('tar', ['--list', '--file', '-'], { input: part.bytes })).not.toThrow();
  });

  it('that is not the same is reported, whatever is not the same', async () => {
    await using other = await volumeAdapter.throwaway({ docker, image, labels });
    await volumeAdapter.restore(other, part.stored, chunked(part.bytes));
    const changes: Readonly<Record<string, string>> = {
      'content: plain': 'echo two > plain; chmod 4755 plain',
      'missing: nothing': 'rm nothing',
      'unexpected: new': 'touch new',
      'content: empty': 'chmod 755 empty',
      'content: to-plain': 'ln -sfn nothing to-plain',
      'content: sparse': 'printf MID | dd of=sparse bs=1 seek=1000000 conv=notrunc status=none',
      'content: hex:7261772dfffe': `chown 7 "$(printf 'raw-\\377\\376')"`,
    };
    let found: readonly string[] = [];
    for (const [expected, script] of Object.entries(changes)) {
      await inVolume(other.volume, `cd /volume; ${script}`);
      const now = await differences(other.volume);
      expect(
        now.filter((text) => !found.includes(text)),
        expected,
      ).toEqual([expected]);
      found = now;
    }
  });

  it('is never restored over what is there, and a restore that failed leaves nothing or is gone over', async () => {
    const before = await inVolume(place.volume, listing);
    await expect(volumeAdapter.restore(place, part.stored, chunked(part.bytes))).rejects.toMatchObject({
      code: 'RESTORE_FAILED',
      message: expect.stringContaining('it is not empty') as unknown,
    });
    expect(await inVolume(place.volume, listing)).toBe(before);

    const volume = `${prefix}-half`;
    const end = part.bytes.findLastIndex((byte) => byte !== 0);
    for (const length of [0, 700, part.bytes.length >> 1, end]) {
      await expect(
        volumeAdapter.restore({ ...place, volume }, part.stored, chunked(part.bytes.subarray(0, length))),
      ).rejects.toMatchObject({ code: 'RESTORE_FAILED' });
      expect(await docker.inspectVolume(volume)).toBeUndefined();
    }
    async function* failing(): AsyncGenerator<Uint8Array, void, undefined> {
      yield* chunked(part.bytes.subarray(0, 5000));
      throw new Error('the disk is gone');
    }
    await expect(volumeAdapter.restore({ ...place, volume }, part.stored, failing())).rejects.toMatchObject({
      message: expect.stringContaining('the disk is gone') as unknown,
    });
    // As a killed restore would leave it.
    await docker.ensureVolume({ name: volume, labels });
    await inVolume(volume, 'cd /volume; touch .devstack-restore-incomplete; mkdir -p deep/er; echo half > plain');
    expect(await volumeAdapter.check({ ...place, volume }, part.stored)).toEqual([
      `The volume ${volume} was restored in part only.`,
    ]);
    await volumeAdapter.restore({ ...place, volume }, part.stored, chunked(part.bytes));
    expect(await differences(volume)).toEqual([]);
    expect(await volumeAdapter.check({ ...place, volume }, part.stored)).toEqual([]);
    await expect(
      volumeAdapter.restore(
        place,
        { ...part.stored, engine: { ...part.stored.engine, name: 'files' } },
        chunked(part.bytes),
      ),
    ).rejects.toMatchObject({ code: 'ENGINE_MISMATCH' });
  });

  it('is not filled from an archive that reaches outside', async () => {
    const evil: readonly Parameters<ReturnType<typeof pack>['entry']>[0][] = [
      { name: '../outside', type: 'file' },
      { name: 'link/outside', type: 'file' },
      { name: 'hard', type: 'link', linkname: '/etc/passwd' },
      { name: 'device', type: 'block-device', devmajor: 8, devminor: 0 },
    ];
    for (const header of evil) {
      const tar = pack();
      tar.entry({ name: 'link', type: 'symlink', linkname: '/tmp' });
      tar.entry(header, Buffer.alloc(0));
      tar.finalize();
      await expect(
        volumeAdapter.restore({ ...place, volume: `${prefix}-evil` }, part.stored, chunked(await buffer(tar))),
        header.name,
      ).rejects.toMatchObject({ code: 'RESTORE_FAILED', message: expect.stringContaining('the member') as unknown });
    }
    expect(await docker.inspectVolume(`${prefix}-evil`)).toBeUndefined();
  });

  it('that a program writes to is approximate, and one that changes under tar makes no backup', async () => {
    const volume = `${prefix}-busy`;
    await docker.ensureVolume({ name: volume, labels });
    await using writer = await startThrowaway({
      docker,
      image,
      labels,
      what: 'a writer',
      argv: [
        'sh',
        '-c',
        'cd /volume; head -c 30M /dev/zero | tr "\\0" x > big; touch ready; while :; do echo x >> big; done',
      ],
      binds: [`${volume}:/volume`],
      user: '0:0',
      ready: async (id) => (await docker.exec(id, ['test', '-e', '/volume/ready'])).exitCode === 0,
    });
    const attempt = async (): Promise<void> => {
      for await (const busy of volumeAdapter.open({ ...place, volume })) {
        expect(busy).toMatchObject({
          consistency: 'approximate',
          consistencyReason: expect.stringContaining('in use by') as unknown,
        });
        for await (const _chunk of busy.content());
      }
    };
    await expect(attempt()).rejects.toMatchObject({
      code: 'DUMP_FAILED',
      message: expect.stringMatching(/changed|exit code 1/) as unknown,
    });
    // Paused it cannot.
    await docker.pauseContainer(writer.id);
    expect(first(await dumpAll(volumeAdapter, { ...place, volume })).stored.consistency).toBe('exact');
    await docker.unpauseContainer(writer.id);
    await expect(dumpAll(volumeAdapter, { ...place, volume: `${prefix}-none` })).rejects.toMatchObject({
      code: 'PLACE_UNUSABLE',
    });
    expect(await docker.inspectVolume(`${prefix}-none`)).toBeUndefined();
  });
});
