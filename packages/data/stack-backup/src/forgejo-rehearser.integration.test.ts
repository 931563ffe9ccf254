import { randomBytes } from 'node:crypto';
import {
  postgresAdapter,
  startThrowaway,
  volumeAdapter,
  type BackupPart,
  type EngineAdapter,
  type Rehearsal,
  type StoredPart,
} from '@devstack-core/database-backup';
import { connectDocker, type DockerEngine } from '@devstack-core/docker-engine';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { forgejoRehearser } from './forgejo-rehearser.ts';
import { bytesOf } from './set-files.ts';

vi.setConfig({ testTimeout: 240_000, hookTimeout: 240_000 });

const labels = { 'io.devstack.test': `forgejo-${randomBytes(4).toString('hex')}` };
const image = 'devstack/forgejo:local';
const images = { postgresql: 'devstack/postgres:local', volume: 'devstack/base:local' };
let docker: DockerEngine;
let parts: readonly { readonly stored: StoredPart; readonly bytes: Uint8Array }[];

// As a server leaves them: one repository packed, one with loose objects, an empty one, a wiki, and large files.
const filled = `cd /volume; mkdir -p repositories/ada data/lfs/tmp; touch data/lfs/tmp/upload
export HOME=/tmp GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b
for name in packed loose packed.wiki; do
  git init -q -b main /tmp/$name; head -c 200000 /dev/urandom > "/tmp/$name/Größe ☃.bin"
  git -C /tmp/$name add -A; git -C /tmp/$name commit -q -m one
  git clone -q --bare /tmp/$name repositories/ada/$name.git
done
git init -q --bare repositories/ada/empty.git
git -C repositories/ada/packed.git repack -q -a -d
head -c 3000000 /dev/urandom > /tmp/large; id=$(sha256sum < /tmp/large | cut -c1-64)
mkdir -p data/lfs/$(printf %s $id | cut -c1-2)/$(printf %s $id | cut -c3-4)
cp /tmp/large data/lfs/$(printf %s $id | sed 's|^\\(..\\)\\(..\\)|\\1/\\2/|'); printf %s $id`;

const tables = (id: string): string => `CREATE TABLE repository (owner_name text, name text, status int);
CREATE TABLE lfs_meta_object (oid text);
INSERT INTO repository VALUES ('Ada', 'packed', 0), ('Ada', 'loose', 0), ('Ada', 'empty', 0), ('Ada', 'arriving', 1);
INSERT INTO lfs_meta_object VALUES ('${id}'), ('${id}');`;

beforeAll(async () => {
  docker = await connectDocker({ env: process.env });
  await using postgres = await postgresAdapter.throwaway({ docker, labels, image: images.postgresql });
  await using volume = await volumeAdapter.throwaway({ docker, labels, image: images.volume });
  const id = await inVolume(volume.volume, filled);
  const psql = ['psql', '-qX', '-v', 'ON_ERROR_STOP=1', '-h', postgres.host ?? '', '-U', postgres.username] as const;
  const sql = async (database: string, text: string): Promise<void> => {
    const done = await docker.exec(postgres.container, [...psql, '-d', database], { stdin: text });
    expect([done.exitCode, done.stderr]).toEqual([0, '']);
  };
  await sql('postgres', 'CREATE ROLE forgejo; CREATE DATABASE forgejo OWNER forgejo;');
  await sql('forgejo', tables(id));
  parts = [
    ...(await dumped(volumeAdapter, volume)),
    ...(await dumped(postgresAdapter, { ...postgres, databases: ['forgejo'], excludeDatabases: ['postgres'] })),
  ];
});

afterAll(async () => {
  expect(await docker.listContainers({ all: true, labels })).toEqual([]);
  expect(await docker.listVolumes({ labels })).toEqual([]);
  await docker[Symbol.asyncDispose]();
});

async function dumped<P>(adapter: EngineAdapter<P>, place: P): Promise<typeof parts> {
  const found: { stored: StoredPart; bytes: Uint8Array }[] = [];
  for await (const part of adapter.open(place)) {
    const { metadata, ...about } = JSON.parse(JSON.stringify(part)) as BackupPart;
    const stored = { ...about, service: 'forgejo', metadata: { ...metadata, applicationImage: image } };
    found.push({ stored, bytes: await bytesOf(part.content()) });
  }
  return found;
}

async function inVolume(volume: string, script: string): Promise<string> {
  await using helper = await startThrowaway({
    docker,
    image,
    labels,
    what: 'helper',
    argv: ['sleep', 'infinity'],
    user: '0:0',
    binds: [`${volume}:/volume:nocopy`],
    capAdd: ['DAC_OVERRIDE', 'FOWNER'],
  });
  const { exitCode, stdout, stderr } = await docker.exec(helper.id, ['sh', '-euc', script]);
  expect([exitCode, stderr]).toEqual([0, '']);
  return stdout;
}

const restoredKind = async (rehearsal: Rehearsal, kind: string): Promise<void> => {
  for (const { stored, bytes } of parts)
    if (stored.kind === kind) await rehearsal.restore(stored, ReadableStream.from([bytes]));
};

// The control is in the same place: what was whole before is damaged, each kind of damage is told, and nothing else.
it('damaged objects, damaged or missing large files and a missing repository are told, and of a whole one nothing', async () => {
  expect(parts.map(({ stored }) => stored.kind)).toEqual(['volume', 'postgresql-globals', 'postgresql-database']);
  await using rehearsal = await forgejoRehearser.rehearse({ docker, labels, image: '', images });
  const [files] = parts.flatMap(({ stored }) => (stored.kind === 'volume' ? [stored] : []));
  if (files === undefined) throw new Error('there are no files');
  await restoredKind(rehearsal, 'volume');
  expect(await rehearsal.check(files)).toEqual(['There is no database to compare the repositories with.']);
  // An image without git says nothing of the repositories.
  const noGit = { ...files, metadata: { applicationImage: images.volume } };
  await expect(rehearsal.check(noGit)).rejects.toMatchObject({ code: 'PLACE_UNUSABLE' });
  await restoredKind(rehearsal, 'postgresql-globals');
  await restoredKind(rehearsal, 'postgresql-database');
  expect((await Promise.all(parts.map(({ stored }) => rehearsal.check(stored)))).flat()).toEqual([]);

  const [volume] = await docker.listVolumes({ labels });
  await inVolume(
    volume?.name ?? '',
    `cd /volume
flip() { chmod u+w "$1"; printf '\\377\\000\\377' | dd of="$1" bs=1 seek=$(($(stat -c %s "$1") / 2)) conv=notrunc status=none; }
flip "$(find repositories/ada/packed.git/objects -name '*.pack')"
flip "$(find repositories/ada/loose.git/objects -type f -size +100k)"
flip "$(find data/lfs -type f -size +1000k)"
rm -rf repositories/ada/empty.git`,
  );
  expect((await rehearsal.check(files)).toSorted()).toEqual([
    expect.stringMatching(/^The large file [0-9a-f]{64} is not what its name says\.$/),
    'The repository ada/empty.git is in the database and has no folder.',
    expect.stringMatching(/^The repository ada\/loose\.git fails git fsck: /),
    expect.stringMatching(/^The repository ada\/packed\.git fails git fsck: /),
  ]);
  await inVolume(volume?.name ?? '', 'rm -r /volume/data/lfs/??');
  expect(await rehearsal.check(files)).toContainEqual(
    expect.stringMatching(/^The large file [0-9a-f]{64} is in the database and not among the files\.$/),
  );
});
