import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, open, rm, symlink, truncate, writeFile, link as hardLink, chmod } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TarDigest } from './tar-digest.ts';
import { TarScanner, type TarEntry } from './tar-scanner.ts';

let folder: string;
let archive: Buffer;
const longName = `${'long-'.repeat(50)}name`;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tar-scanner-'));
  const at = (...parts: readonly string[]): string => join(folder, 'tree', ...parts);
  await mkdir(at('empty'), { recursive: true });
  await writeFile(at('plain.txt'), 'hello');
  await chmod(at('plain.txt'), 0o640);
  await writeFile(at('leer ünd 日本.txt'), 'unicode');
  await writeFile(at(longName), Buffer.alloc(1000, 7));
  await writeFile(Buffer.concat([Buffer.from(`${folder}/tree/raw-`), Buffer.from([0xff, 0xfe])]), 'bytes');
  await symlink('plain.txt', at('to-plain'));
  await hardLink(at('plain.txt'), at('second-name'));
  // Two pieces of data, a hole before, between and after them.
  const sparse = await open(at('sparse.bin'), 'w');
  await sparse.write('first', 1024 * 1024);
  await sparse.write('second', 3 * 1024 * 1024);
  await sparse.close();
  await truncate(at('sparse.bin'), 5 * 1024 * 1024);
  archive = tar('tree');
});

afterAll(async () => rm(folder, { recursive: true, force: true }));

function tar(name: string, ...more: readonly string[]): Buffer {
  return execFileSync(
    'tar',
    [
      '--format=posix',
      '--sparse',
      '--sort=name',
      '--numeric-owner',
      ...more,
      '-cf',
      '-',
      '-C',
      join(folder, name),
      '.',
    ],
    { maxBuffer: 64 * 1024 * 1024 },
  );
}

function entriesOf(bytes: Buffer, chunk: number): { entries: TarEntry[]; sizes: Map<string, number> } {
  const scanner = new TarScanner();
  const entries: TarEntry[] = [];
  const sizes = new Map<string, number>();
  let current = '';
  for (let at = 0; at < bytes.length; at += chunk) {
    for (const event of scanner.push(bytes.subarray(at, at + chunk))) {
      if (event.kind === 'entry') {
        entries.push(event.entry);
        current = event.entry.path;
        sizes.set(current, 0);
      } else if (event.kind === 'data') sizes.set(current, (sizes.get(current) ?? 0) + event.bytes.length);
      else if (event.kind === 'hole') sizes.set(current, (sizes.get(current) ?? 0) + event.bytes);
    }
  }
  scanner.finish();
  return { entries, sizes };
}

function digest(bytes: Buffer): Map<string, string> {
  const running = new TarDigest();
  running.push(bytes);
  return new Map(running.finish().items.map((item) => [item.name, item.checksum]));
}

describe('an archive of GNU tar', () => {
  it.each([1, 100, 512, 4096, 1_000_000])('is read in chunks of %i bytes', (chunk) => {
    const { entries, sizes } = entriesOf(archive, chunk);
    const byPath = new Map(entries.map((entry) => [entry.path, entry]));
    expect([...byPath.keys()].toSorted()).toEqual(
      [
        '.',
        'empty',
        'hex:7261772dfffe',
        'leer ünd 日本.txt',
        longName,
        'plain.txt',
        'second-name',
        'sparse.bin',
        'to-plain',
      ].toSorted(),
    );
    expect(byPath.get('plain.txt')).toMatchObject({ type: 'file', mode: 0o640, size: 5 });
    expect(byPath.get('second-name')).toMatchObject({ type: 'hardlink', link: './plain.txt', size: 0 });
    expect(byPath.get('to-plain')).toMatchObject({ type: 'symlink', link: 'plain.txt' });
    expect(byPath.get('empty')).toMatchObject({ type: 'directory' });
    expect(byPath.get('sparse.bin')).toMatchObject({ size: 5 * 1024 * 1024 });
    for (const entry of entries) expect(sizes.get(entry.path)).toBe(entry.type === 'hardlink' ? 0 : entry.size);
  });

  it('has one checksum for a file, sparse or not', () => {
    const dense = execFileSync('tar', ['--format=posix', '-cf', '-', '-C', join(folder, 'tree'), './sparse.bin'], {
      maxBuffer: 64 * 1024 * 1024,
    });
    expect(archive.length).toBeLessThan(1024 * 1024);
    expect(digest(dense).get('sparse.bin')).toBe(digest(archive).get('sparse.bin'));
  });

  it('has another checksum for each thing that is changed', async () => {
    const changes: Readonly<Record<string, () => Promise<void>>> = {
      content: () => writeFile(join(folder, 'tree/plain.txt'), 'hellO'),
      mode: () => chmod(join(folder, 'tree/plain.txt'), 0o600),
    };
    for (const change of Object.values(changes)) {
      const before = digest(tar('tree')).get('plain.txt');
      await change();
      expect(digest(tar('tree')).get('plain.txt')).not.toBe(before);
    }
    const owned = digest(tar('tree', '--owner=7', '--group=8')).get('plain.txt');
    expect(owned).not.toBe(digest(tar('tree')).get('plain.txt'));
  });

  it('that is cut anywhere, or has bytes behind its end, is refused', () => {
    // Where the two blocks of zeros begin that end an archive.
    const end = Math.ceil(archive.findLastIndex((byte) => byte !== 0) / 512) * 512;
    for (const bytes of [0, 1, 511, 512, 700, archive.length >> 1, end - 1, end, end + 511, end + 1023])
      expect(() => entriesOf(archive.subarray(0, bytes), 4096), String(bytes)).toThrow();
    expect(() => entriesOf(Buffer.concat([archive, Buffer.from('x')]), 4096)).toThrow(/after the archive/);
    expect(() => entriesOf(Buffer.concat([archive, Buffer.alloc(512)]), 4096)).not.toThrow();
  });

  it('whose headers are damaged is refused', () => {
    for (const at of [0, 100, 124, 148, 156]) {
      const bad = Buffer.from(archive);
      bad[at] = (bad[at] ?? 0) ^ 0x40;
      expect(() => entriesOf(bad, 4096), String(at)).toThrow();
    }
  });
});
