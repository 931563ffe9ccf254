import { execFileSync, fork } from 'node:child_process';
import { once } from 'node:events';
import { chmod, lstat, mkdir, mkdtemp, readdir, readFile, readlink, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pack } from 'tar-stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { compareFingerprints } from '../fingerprint.ts';
import type { BackupPart, StoredPart } from '../types.ts';
import { filesSource } from './files-adapter.ts';
import { readFound, walk } from './walk.ts';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'files-adapter-'));
  await mkdir(at('vault/certs'), { recursive: true });
  await writeFile(at('vault/keys.json'), '{"keys":["k"]}', { mode: 0o600 });
  await writeFile(at('vault/certs/2026.pem'), 'certificate', { mode: 0o644 });
  await symlink('2026.pem', at('vault/certs/current.pem'));
  await writeFile(at('vault/leer ünd 日本.txt'), Buffer.alloc(700_000, 'x'), { mode: 0o640 });
  await mkdir(at('vault/empty'), { mode: 0o750 });
  await mkdir(at('vault/cache'));
  await writeFile(at('vault/cache/big'), 'not wanted');
  await writeFile(at('.env'), 'A=1\n', { mode: 0o600 });
});

afterEach(async () => rm(folder, { recursive: true, force: true }));

const at = (...parts: readonly string[]): string => join(folder, ...parts);

async function dump(
  roots = [
    { name: 'vault', path: at('vault'), exclude: ['cache'] },
    { name: '.env', path: at('.env') },
  ],
): Promise<
  { part: BackupPart; stored: StoredPart; bytes: Buffer; fingerprint: Awaited<ReturnType<BackupPart['fingerprint']>> }[]
> {
  const parts = [];
  for await (const part of filesSource.open({ roots })) {
    const fingerprint = await part.fingerprint();
    const bytes = await collect(part.content());
    parts.push({ part, stored: { ...part, service: 'configuration' }, bytes, fingerprint });
  }
  return parts;
}

async function collect(content: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of content) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function* chunked(bytes: Uint8Array, size = 10_000): AsyncGenerator<Uint8Array, void, undefined> {
  await Promise.resolve();
  for (let from = 0; from < bytes.length; from += size) yield bytes.subarray(from, from + size);
}

function first<T>(list: readonly T[]): T {
  const [item] = list;
  if (item === undefined) throw new Error('there is none');
  return item;
}

const modeOf = async (path: string): Promise<string> => ((await lstat(path)).mode & 0o7777).toString(8);

describe('files and folders of this machine', () => {
  it('come back with content, modes and links, and with the same fingerprint', async () => {
    const place = {
      roots: [
        { name: 'vault', path: at('new/config/vault') },
        { name: '.env', path: at('new/.env') },
      ],
    };
    const parts = await dump();
    expect(parts.map(({ part }) => [part.name, part.kind, part.isSecret, part.consistency])).toEqual([
      ['vault', 'files', true, 'exact'],
      ['.env', 'files', true, 'exact'],
    ]);
    for (const { stored, bytes, fingerprint } of parts) {
      await filesSource.restore(place, stored, chunked(bytes));
      expect(compareFingerprints(fingerprint, await filesSource.fingerprint(place, stored))).toEqual([]);
      expect(await filesSource.check(place, stored)).toEqual([]);
    }
    expect(await readFile(at('new/.env'), 'utf8')).toBe('A=1\n');
    expect(await modeOf(at('new/.env'))).toBe('600');
    expect(await modeOf(at('new/config/vault/keys.json'))).toBe('600');
    expect(await modeOf(at('new/config/vault/certs/2026.pem'))).toBe('644');
    expect(await modeOf(at('new/config/vault/empty'))).toBe('750');
    expect(await readlink(at('new/config/vault/certs/current.pem'))).toBe('2026.pem');
    expect(await readdir(at('new/config'))).toEqual(['vault']);
    expect(await readdir(at('new/config/vault'))).not.toContain('cache');
  });

  it('are told apart by each thing that can change', async () => {
    const { stored, bytes, fingerprint } = first(await dump());
    const changes: Readonly<Record<string, (path: string) => Promise<unknown>>> = {
      'keys.json': (path) => writeFile(path, '{"keys":["K"]}'),
      'certs/2026.pem': (path) => chmod(path, 0o600),
      'leer ünd 日本.txt': (path) => rm(path),
      'certs/current.pem': async (path) => {
        await rm(path);
        await symlink('../keys.json', path);
      },
      'certs/new.pem': (path) => writeFile(path, ''),
    };
    for (const [name, change] of Object.entries(changes)) {
      const place = { roots: [{ name: 'vault', path: at('copies', name.replaceAll('/', '-')) }] };
      await filesSource.restore(place, stored, chunked(bytes));
      await change(join(first(place.roots).path, name));
      const found = compareFingerprints(fingerprint, await filesSource.fingerprint(place, stored));
      expect(found.map((difference) => difference.name)).toContain(`vault/${name}`);
      expect(found).toHaveLength(1);
    }
  });

  it('are never restored over what is there', async () => {
    const { stored, bytes } = first(await dump());
    const place = { roots: [{ name: 'vault', path: at('vault') }] };
    await expect(filesSource.restore(place, stored, chunked(bytes))).rejects.toMatchObject({
      code: 'RESTORE_FAILED',
      message: expect.stringContaining('is there already') as unknown,
    });
    expect(await readFile(at('vault/cache/big'), 'utf8')).toBe('not wanted');
  });

  it('that come only in part leave nothing behind', async () => {
    const { stored, bytes } = first(await dump());
    const place = { roots: [{ name: 'vault', path: at('new/vault') }] };
    const end = bytes.findLastIndex((byte) => byte !== 0);
    for (const length of [0, 600, bytes.length >> 1, end]) {
      await expect(filesSource.restore(place, stored, chunked(bytes.subarray(0, length)))).rejects.toMatchObject({
        code: 'RESTORE_FAILED',
      });
      expect(await readdir(at('new'))).toEqual([]);
    }
    async function* failing(): AsyncGenerator<Uint8Array, void, undefined> {
      yield* chunked(bytes.subarray(0, 5000));
      throw new Error('the disk is gone');
    }
    await expect(filesSource.restore(place, stored, failing())).rejects.toMatchObject({
      message: expect.stringContaining('the disk is gone') as unknown,
    });
    const stop = AbortSignal.abort();
    await expect(filesSource.restore(place, stored, chunked(bytes), { signal: stop })).rejects.toThrow();
    expect(await readdir(at('new'))).toEqual([]);
  });

  it('are not restored from an archive that reaches outside', async () => {
    const { stored } = first(await dump());
    const evil: readonly Parameters<ReturnType<typeof pack>['entry']>[0][] = [
      { name: '../outside', type: 'file' },
      { name: '/outside', type: 'file' },
      { name: 'other/outside', type: 'file' },
      { name: 'vault/link', type: 'symlink', linkname: '../../outside' },
      { name: 'vault/hard', type: 'link', linkname: '/etc/passwd' },
      { name: 'vault/dev', type: 'character-device', devmajor: 1, devminor: 3 },
    ];
    for (const header of evil) {
      const tar = pack();
      tar.entry({ name: 'vault/', type: 'directory' });
      tar.entry(header);
      tar.finalize();
      const place = { roots: [{ name: 'vault', path: at('evil/vault') }] };
      await expect(
        filesSource.restore(place, stored, tar as AsyncIterable<Uint8Array>),
        header.name,
      ).rejects.toMatchObject({ code: 'RESTORE_FAILED' });
      expect(await readdir(at('evil'))).toEqual([]);
    }
    const tar = pack();
    tar.entry({ name: 'vault/', type: 'directory' });
    for (let count = 0; count < 20; count += 1) tar.entry({ name: `vault/${String(count)}`, type: 'file' }, 'x');
    tar.finalize();
    await expect(
      filesSource.restore(
        { roots: [{ name: 'vault', path: at('evil/vault') }] },
        stored,
        tar as AsyncIterable<Uint8Array>,
      ),
    ).rejects.toMatchObject({ message: expect.stringContaining('more than its description') as unknown });
  });

  it('that change while they are read make no backup', async () => {
    for await (const part of filesSource.open({ roots: [{ name: 'vault', path: at('vault') }] })) {
      await part.fingerprint();
      await writeFile(at('vault/keys.json'), '{"keys":["n"]}');
      await expect(collect(part.content())).rejects.toMatchObject({
        code: 'DUMP_FAILED',
        message: expect.stringContaining('vault/keys.json changed meanwhile') as unknown,
      });
    }
    for await (const found of walk({ name: 'vault', path: at('vault') })) {
      if (found.entry.path !== 'vault/keys.json') continue;
      for (const content of ['shorter', 'longer than it was before']) {
        await writeFile(found.path, content);
        await expect(collect(readFound(found))).rejects.toThrow('changed while it was read');
      }
    }
  });

  it('that no restore would take make no backup, and sockets are no data', async () => {
    const socket = createServer().listen(at('vault/agent.sock'));
    await once(socket, 'listening');
    const { fingerprint } = first(await dump());
    expect(fingerprint.items.map((item) => item.name)).not.toContain('vault/agent.sock');
    socket.close();
    await symlink('/etc/passwd', at('vault/out'));
    await expect(dump()).rejects.toMatchObject({
      code: 'DUMP_FAILED',
      message: expect.stringContaining('leads out') as unknown,
    });
    await rm(at('vault/out'));
    execFileSync('mkfifo', [at('vault/pipe')]);
    await expect(dump()).rejects.toMatchObject({ code: 'DUMP_FAILED' });
    await expect(dump([{ name: 'gone', path: at('gone'), exclude: [] }])).rejects.toMatchObject({
      code: 'DUMP_FAILED',
    });
    await expect(dump([{ name: '..', path: at('vault'), exclude: [] }])).rejects.toMatchObject({
      code: 'PLACE_UNUSABLE',
    });
  });

  it('open with stock tar', async () => {
    const { bytes } = first(await dump());
    await mkdir(at('stock'));
    execFileSync('tar', ['--extract', '--preserve-permissions', '--file', '-', '-C', at('stock')], { input: bytes });
    expect(await readFile(at('stock/vault/certs/current.pem'), 'utf8')).toBe('certificate');
    expect(await modeOf(at('stock/vault/keys.json'))).toBe('600');
  });

  it('are restored for a trial in memory, and what killed trials left is swept', async () => {
    // A process that makes a throwaway place and is killed.
    const script = at('killed.mjs');
    const source = new URL('files-adapter.ts', import.meta.url).href;
    await writeFile(
      script,
      `import { filesSource } from ${JSON.stringify(source)};\nconst place = await filesSource.throwaway({});\nprocess.send(place.roots[0].path);\nsetInterval(() => {}, 1000);\n`,
    );
    const child = fork(script, { execArgv: ['--conditions=@devstack-core/source'] });
    const [left] = (await once(child, 'message')) as [string];
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(await readdir(left)).toEqual([]);

    let path: string;
    {
      await using place = await filesSource.throwaway({ docker: undefined as never, image: '', labels: {} });
      path = first(place.roots).path;
      await expect(readdir(left)).rejects.toThrow();
      for (const { stored, bytes, fingerprint } of await dump()) {
        await filesSource.restore(place, stored, chunked(bytes));
        expect(compareFingerprints(fingerprint, await filesSource.fingerprint(place, stored))).toEqual([]);
      }
      expect((await readdir(path)).toSorted()).toEqual(['.env', 'vault']);
    }
    await expect(readdir(path)).rejects.toThrow();
    await expect(filesSource.fingerprint({ roots: [] }, { ...first(await dump()).stored })).rejects.toMatchObject({
      code: 'PLACE_UNUSABLE',
    });
  });
});
