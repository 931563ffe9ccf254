import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { connectDocker, type DockerEngine } from '@devstack-core/docker-engine';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createGiteaServer, type GiteaServer } from '../../test/gitea-server.ts';
import { chunked, dumpAll, type DumpedPart } from '../../test/parts.ts';
import { compareFingerprints } from '../fingerprint.ts';
import { runOnce } from '../postgres/session.ts';
import { giteaAdapter } from './gitea-adapter.ts';
import { finishGiteaRestore } from './gitea-hooks.ts';
import type { GiteaPlace } from './gitea-place.ts';

const labels = { 'io.devstack.test': `gitea-${randomBytes(4).toString('hex')}` };
const image = 'devstack/forgejo:local';
const large = randomBytes(3_000_000);
const largeId = createHash('sha256').update(large).digest('hex');
let docker: DockerEngine;
let source: GiteaServer;
let folder: string;
let parts: readonly DumpedPart[];

beforeAll(async () => {
  docker = await connectDocker();
  folder = await mkdtemp(join(tmpdir(), 'gitea-test-'));
  source = await createGiteaServer(docker, labels);
  await source.start();
  await fill();
  // Somebody works while the backup is made.
  const stop = new AbortController();
  const working = work(stop.signal);
  parts = await dumpAll(giteaAdapter, source.place);
  stop.abort();
  await working;
}, 600_000);

afterAll(async () => {
  await source[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
  expect(await docker.listContainers({ all: true, labels })).toEqual([]);
  expect(await docker.listVolumes({ labels })).toEqual([]);
  await docker[Symbol.asyncDispose]();
});

async function git(...argv: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(
    'git',
    ['-c', 'user.name=t', '-c', 'user.email=t@example.invalid', '-c', 'credential.helper=', ...argv],
    {
      cwd: folder,
      env: { ...process.env, GIT_TERMINAL_PROMPT: '0', GIT_CONFIG_GLOBAL: '/dev/null' },
      maxBuffer: 64 * 1024 * 1024,
    },
  );
  return stdout;
}

async function fill(): Promise<void> {
  await source.api('POST', 'api/v1/user/repos', { name: 'Work', default_branch: 'main', private: true });
  await source.api('POST', 'api/v1/user/repos', { name: 'empty' });
  await git('init', '-q', '-b', 'main', 'work');
  for (let index = 0; index < 20; index += 1) {
    await writeFile(join(folder, 'work', `leer ünd ${String(index)}.txt`), `content ${String(index)}\n`.repeat(100));
    await git('-C', 'work', 'add', '-A');
    await git('-C', 'work', 'commit', '-q', '-m', `commit ${String(index)}`);
  }
  await writeFile(join(folder, 'work', 'big.bin'), randomBytes(2_000_000));
  await writeFile(join(folder, 'work', '.gitattributes'), '*.lfs filter=lfs\n');
  await writeFile(
    join(folder, 'work', 'a.lfs'),
    `version https://git-lfs.github.com/spec/v1\noid sha256:${largeId}\nsize ${String(large.length)}\n`,
  );
  await git('-C', 'work', 'add', '-A');
  await git('-C', 'work', 'commit', '-q', '-m', 'large files');
  await git('-C', 'work', 'branch', 'side/ünï');
  await git('-C', 'work', 'tag', '-a', 'v1', '-m', 'one');
  await push(source, 'work', 'admin/work.git', '--all', '--follow-tags');
  await source.at(async (origin) => {
    const authorization = `Basic ${Buffer.from(`admin:${source.password}`).toString('base64')}`;
    const batch = await fetch(`${origin}/admin/work.git/info/lfs/objects/batch`, {
      method: 'POST',
      headers: {
        authorization,
        accept: 'application/vnd.git-lfs+json',
        'content-type': 'application/vnd.git-lfs+json',
      },
      body: JSON.stringify({
        operation: 'upload',
        transfers: ['basic'],
        objects: [{ oid: largeId, size: large.length }],
      }),
    });
    const { objects } = (await batch.json()) as {
      objects: { actions: { upload: { href: string; header: Record<string, string> } } }[];
    };
    const upload = objects[0]?.actions.upload;
    const href = upload?.href.replace('http://127.0.0.1:3000', origin) ?? '';
    expect((await fetch(href, { method: 'PUT', headers: { authorization, ...upload?.header }, body: large })).ok).toBe(
      true,
    );
  });
  await source.api('POST', 'api/v1/repos/admin/Work/issues', { title: 'Ünïcode', body: 'it does not work' });
  const form = new FormData();
  form.set('attachment', new Blob([randomBytes(50_000)]), 'notes.txt');
  await source.api('POST', 'api/v1/repos/admin/Work/issues/1/assets', form);
  await source.api('POST', 'api/v1/repos/admin/Work/wiki/new', {
    title: 'Home',
    content_base64: Buffer.from('# wiki').toString('base64'),
  });
}

async function push(server: GiteaServer, from: string, to: string, ...what: readonly string[]): Promise<void> {
  await server.at((origin) =>
    git('-C', from, 'push', '-q', `${origin.replace('//', `//admin:${server.password}@`)}/${to}`, ...what),
  );
}

async function work(signal: AbortSignal): Promise<void> {
  for (let index = 0; !signal.aborted; index += 1) {
    const content = Buffer.from(`n ${String(index)}`).toString('base64');
    await source.api('POST', `api/v1/repos/admin/Work/contents/live-${String(index)}.txt`, {
      content,
      message: 'live',
      branch: 'main',
    });
    await source.api('POST', 'api/v1/repos/admin/Work/issues', { title: `live ${String(index)}` });
  }
}

async function restoreAll(place: GiteaPlace, replace = false): Promise<void> {
  for (const kind of giteaAdapter.kinds)
    for (const { stored, bytes } of parts)
      if (stored.kind === kind) await giteaAdapter.restore(place, stored, chunked(bytes), { replace });
}

async function differences(place: GiteaPlace): Promise<readonly string[]> {
  const found: string[] = [];
  for (const { stored, fingerprint } of parts) {
    const actual = await giteaAdapter.fingerprint(place, stored);
    for (const { kind, name, problem } of compareFingerprints(fingerprint, actual))
      found.push(`${problem}: ${kind} ${name}`);
  }
  return found;
}

async function problems(place: GiteaPlace): Promise<readonly string[]> {
  const found: string[] = [];
  for (const { stored } of parts) found.push(...(await giteaAdapter.check(place, stored)));
  return found;
}

async function inVolume(volume: string, script: string): Promise<string> {
  const { exitCode, stdout, stderr } = await docker.runEphemeral({
    image,
    argv: ['sh', '-euc', script],
    binds: [`${volume}:/volume:nocopy`],
    workdir: '/volume',
    user: '0:0',
    capAdd: ['DAC_OVERRIDE', 'FOWNER'],
    env: { HOME: '/tmp' },
    labels,
  });
  expect([exitCode, stderr]).toEqual([0, '']);
  return stdout;
}

describe('Gitea', { timeout: 600_000 }, () => {
  it('is dumped at one moment while it works, pauses for seconds at most, and goes on', async () => {
    expect(parts.map(({ stored }) => [stored.name, stored.kind, stored.engine.name, stored.consistency])).toEqual([
      ['files', 'gitea-files', 'gitea', 'exact'],
      ['database', 'gitea-database', 'gitea', 'exact'],
    ]);
    const pausedMs = parts[0]?.stored.metadata?.['pausedMs'];
    console.info(`paused for ${String(pausedMs)} ms`);
    expect(Number(pausedMs)).toBeLessThan(20_000);
    expect((await docker.inspectContainer(source.place.container)).state).toMatchObject({
      running: true,
      paused: false,
    });
    expect(await inVolume(source.place.volume, 'ls -A')).not.toContain('.devstack-');
    const names = parts.flatMap(({ fingerprint }) => fingerprint.items.map((item) => `${item.kind} ${item.name}`));
    expect(names).toContain('refs admin/work.git');
    expect(names).toContain('objects admin/work.wiki.git');
    expect(names.some((name) => name.startsWith('file data/lfs/'))).toBe(true);
    expect(names.some((name) => name.startsWith('file data/attachments/'))).toBe(true);
    expect(names).toContain('table public.issue');
    expect(names.filter((name) => /app\.ini|credentials/.test(name))).toEqual([]);
  });

  it('comes back into a throwaway, and database and files fit each other', async () => {
    await using place = await giteaAdapter.throwaway({ docker, image, labels });
    await restoreAll(place);
    expect(await differences(place)).toEqual([]);
    expect(await problems(place)).toEqual([]);

    // One thing after the other: each has to be told.
    const lfs = `data/lfs/${largeId.slice(0, 2)}/${largeId.slice(2, 4)}/${largeId.slice(4)}`;
    const pack = 'repositories/admin/work.git/objects';
    await inVolume(place.volume, `printf X | dd of=${lfs} bs=1 seek=100 conv=notrunc status=none`);
    expect(await differences(place)).toEqual([`content: file ${lfs}`]);
    expect(await problems(place)).toEqual([`The large file ${lfs} is not what its name says.`]);
    await inVolume(place.volume, `rm ${lfs}`);
    expect(await differences(place)).toEqual([`missing: file ${lfs}`]);
    expect(await problems(place)).toEqual([`The large file ${largeId} is in the database only.`]);
    await inVolume(
      place.volume,
      'git --git-dir=repositories/admin/work.git -c safe.directory=* update-ref refs/heads/new refs/tags/v1^{commit}',
    );
    expect(await differences(place)).toContain('count: refs admin/work.git');
    await inVolume(
      place.volume,
      'git --git-dir=repositories/admin/work.git -c safe.directory=* update-ref -d refs/heads/new',
    );
    const object = `f=$(find ${pack} -type f -name '*.pack' -o -type f -path '*/??/*' | sort | head -n 1); chmod u+w "$f"; s=$(stat -c %s "$f"); printf '\\377\\000\\377' | dd of="$f" bs=1 seek=$((s / 2)) conv=notrunc status=none`;
    await inVolume(place.volume, object);
    expect(await differences(place)).toContain('content: objects admin/work.git');
    expect(
      (await problems(place)).some((problem) => problem.startsWith('git fsck of repositories/admin/work.git')),
    ).toBe(true);
    await inVolume(place.volume, 'rm -rf repositories/admin/empty.git');
    expect(await problems(place)).toContain('The repository admin/empty.git is in the database only.');
    await runOnce(place.postgres, place.database, "UPDATE public.issue SET name = 'other' WHERE id = 1", {
      purpose: 'restore',
    });
    expect(await differences(place)).toContain('content: table public.issue');

    // All of it again, over what is there.
    await expect(restoreAll(place)).rejects.toMatchObject({
      code: 'RESTORE_FAILED',
      message: expect.stringContaining('is not empty') as unknown,
    });
    await restoreAll(place, true);
    expect(await differences(place)).toEqual([]);
    expect(await problems(place)).toEqual([]);
    expect(await inVolume(place.volume, 'ls -A; ls .devstack-replaced')).toMatch(
      /\.devstack-replaced[\s\S]*repositories[\s\S]*repositories/,
    );

    const [files] = parts;
    if (files === undefined) throw new Error('there are no files');
    await expect(
      giteaAdapter.restore(place, files.stored, chunked(files.bytes.subarray(0, files.bytes.length >> 1)), {
        replace: true,
      }),
    ).rejects.toMatchObject({ code: 'RESTORE_FAILED' });
    expect(await differences(place)).toEqual([]);
    await expect(
      giteaAdapter.restore(
        place,
        { ...files.stored, engine: { ...files.stored.engine, name: 'forgejo' } },
        chunked(files.bytes),
      ),
    ).rejects.toMatchObject({ code: 'ENGINE_MISMATCH' });
  });

  it('comes back into another server, which serves all of it', async () => {
    await using target = await createGiteaServer(docker, labels);
    await restoreAll(target.place, true);
    expect(await differences(target.place)).toEqual([]);
    await target.start();
    expect(await finishGiteaRestore(target.place)).toEqual([]);
    await target.at(async (origin) => {
      const url = origin.replace('//', `//admin:${source.password}@`);
      await git('clone', '-q', `${url}/admin/work.git`, 'cloned');
      expect(await readFile(join(folder, 'cloned', 'big.bin'))).toEqual(
        await readFile(join(folder, 'work', 'big.bin')),
      );
      const authorization = `Basic ${Buffer.from(`admin:${source.password}`).toString('base64')}`;
      const file = await fetch(`${origin}/admin/Work/media/branch/main/a.lfs`, { headers: { authorization } });
      expect(Buffer.from(await file.arrayBuffer()).equals(large)).toBe(true);
    });
    // Hooks work: a push is seen by the server.
    await writeFile(join(folder, 'cloned', 'after.txt'), 'after');
    await git('-C', 'cloned', 'add', '-A');
    await git('-C', 'cloned', 'commit', '-q', '-m', 'after the restore');
    await push({ ...target, password: source.password }, 'cloned', 'admin/work.git', 'HEAD:refs/heads/after');
    await expect(restoreAll(target.place, true)).rejects.toMatchObject({ code: 'PLACE_UNUSABLE' });
  });

  it('goes on when the database cannot be held, and what killed runs left is swept', async () => {
    await inVolume(source.place.volume, 'mkdir .devstack-backup-killed; echo x > .devstack-backup-killed/x');
    const broken = { ...source.place, database: 'nowhere' };
    await expect(dumpAll(giteaAdapter, broken)).rejects.toThrow();
    expect((await docker.inspectContainer(source.place.container)).state.paused).toBe(false);
    expect(await inVolume(source.place.volume, 'ls -A')).not.toContain('.devstack-');
    // The second dump of a server at rest says the same as the first of it.
    const [one, two] = [await dumpAll(giteaAdapter, source.place), await dumpAll(giteaAdapter, source.place)];
    for (const [index, { fingerprint }] of one.entries())
      expect(
        compareFingerprints(fingerprint, two[index]?.fingerprint ?? { schema: 'devstack/fingerprint/1', items: [] }),
      ).toEqual([]);
  });
});
