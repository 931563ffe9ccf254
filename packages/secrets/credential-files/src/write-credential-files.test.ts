import { chmod, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Secret } from '@devstack-core/redaction';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { writeCredentialFiles } from './index.ts';

describe('writing credential files', () => {
  let root: string;
  let directory: string;

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'credential-files-'));
    directory = join(root, 'run');
  });
  afterEach(async () => rm(root, { recursive: true, force: true }));

  const files = [
    { name: 'pgpass', content: new Secret('one\n') },
    { name: 'script', content: new Secret('zwei ë\n'), mode: 0o400 },
  ];

  it('writes each with its mode into a private folder, and removes them when disposed of', async () => {
    {
      await using written = await writeCredentialFiles({ directory, files });
      expect(written.paths).toEqual({ pgpass: join(directory, 'pgpass'), script: join(directory, 'script') });
      expect((await stat(directory)).mode & 0o777).toBe(0o700);
      expect((await stat(join(directory, 'pgpass'))).mode & 0o777).toBe(0o600);
      expect((await stat(join(directory, 'script'))).mode & 0o777).toBe(0o400);
      expect(await readFile(join(directory, 'script'), 'utf8')).toBe('zwei ë\n');
      expect(await readdir(directory)).toHaveLength(2);
    }
    expect(await readdir(directory)).toEqual([]);
  });

  it('keeps the mode that was asked for under any umask', async () => {
    const before = process.umask(0o777);
    try {
      await using written = await writeCredentialFiles({ directory: root, files });
      expect((await stat(written.paths['pgpass'] ?? '')).mode & 0o777).toBe(0o600);
    } finally {
      process.umask(before);
    }
  });

  it('replaces what was there, and never writes through a link', async () => {
    await writeFile(join(root, 'victim'), 'untouched', { mode: 0o644 });
    await symlink(join(root, 'victim'), join(root, 'pgpass'));
    await writeFile(join(root, 'script'), 'open to all', { mode: 0o666 });
    await chmod(join(root, 'script'), 0o666);
    await using written = await writeCredentialFiles({ directory: root, files });
    expect(await readFile(join(root, 'victim'), 'utf8')).toBe('untouched');
    expect(await readFile(written.paths['pgpass'] ?? '', 'utf8')).toBe('one\n');
    expect((await stat(written.paths['script'] ?? '')).mode & 0o777).toBe(0o400);
  });

  it('leaves them where they are when told to keep them', async () => {
    const stop = new AbortController();
    {
      await using written = await writeCredentialFiles({ directory, files, signal: stop.signal });
      written.keep();
    }
    stop.abort();
    expect(await readdir(directory)).toHaveLength(2);
  });

  it('removes them at once when the signal is aborted', async () => {
    const stop = new AbortController();
    await using _written = await writeCredentialFiles({ directory, files, signal: stop.signal });
    stop.abort();
    expect(await readdir(directory)).toEqual([]);
  });

  it('writes nothing when the signal is aborted already, and leaves nothing when it is aborted on the way', async () => {
    await expect(writeCredentialFiles({ directory, files, signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: 'INTERRUPTED',
    });
    expect(await readdir(directory)).toEqual([]);
    for (let turns = 0; turns < 40; turns += 1) {
      const stop = new AbortController();
      const writing = writeCredentialFiles({ directory, files, signal: stop.signal }).catch(() => undefined);
      for (let turn = 0; turn < turns; turn += 1) await new Promise(setImmediate);
      stop.abort();
      await writing;
      expect(await readdir(directory)).toEqual([]);
    }
  });

  it('leaves nothing behind on an error, and names the folder', async () => {
    await writeFile(join(root, 'file'), '');
    await expect(writeCredentialFiles({ directory: join(root, 'file'), files })).rejects.toMatchObject({
      code: 'CREDENTIAL_WRITE_FAILED',
      message: expect.stringContaining(join(root, 'file')) as string,
    });
    await rm(join(root, 'file'));
    const unwritable = [...files, { name: 'x'.repeat(300), content: new Secret('x') }];
    await expect(writeCredentialFiles({ directory: root, files: unwritable })).rejects.toMatchObject({
      code: 'CREDENTIAL_WRITE_FAILED',
    });
    expect(await readdir(root)).toEqual([]);
  });

  it.each(['', '.', '..', '../up', 'a/b'])('refuses the name "%s"', async (name) => {
    await expect(
      writeCredentialFiles({ directory, files: [{ name, content: new Secret('x') }] }),
    ).rejects.toMatchObject({ code: 'CREDENTIAL_WRITE_FAILED' });
  });
});
