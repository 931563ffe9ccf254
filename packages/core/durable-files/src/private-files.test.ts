import { chmod, chown, mkdir, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../test/folder.ts';
import { ensurePrivateDirectory, readPrivateFile, writeFileDurable } from './index.ts';

const isRoot = process.getuid?.() === 0;

async function modeOf(path: string): Promise<string> {
  return ((await stat(path)).mode & 0o777).toString(8);
}

describe('a private directory', () => {
  it('is made with its parents, open to nobody else', async () => {
    await using folder = await temporaryFolder();
    await ensurePrivateDirectory(join(folder.path, 'a/b'));
    expect([await modeOf(join(folder.path, 'a')), await modeOf(join(folder.path, 'a/b'))]).toEqual(['700', '700']);
  });

  it('is closed when it was open', async () => {
    await using folder = await temporaryFolder();
    await mkdir(join(folder.path, 'a'));
    await chmod(join(folder.path, 'a'), 0o755);
    await ensurePrivateDirectory(join(folder.path, 'a'));
    expect(await modeOf(join(folder.path, 'a'))).toBe('700');
  });

  it('is nothing else than a directory', async () => {
    await using folder = await temporaryFolder();
    await mkdir(join(folder.path, 'real'));
    await symlink('real', join(folder.path, 'link'));
    await writeFile(join(folder.path, 'file'), '');
    for (const name of ['link', 'file', 'file/below']) {
      await expect(ensurePrivateDirectory(join(folder.path, name)), name).rejects.toMatchObject({
        code: 'NOT_A_DIRECTORY',
      });
    }
  });

  it.runIf(isRoot)('is never that of another user', async () => {
    await using folder = await temporaryFolder();
    await mkdir(join(folder.path, 'a'));
    await chown(join(folder.path, 'a'), 12345, 12345);
    await expect(ensurePrivateDirectory(join(folder.path, 'a'))).rejects.toMatchObject({
      code: 'FILE_FOREIGN',
      details: { uid: 12345 },
    });
  });
});

describe('reading a private file', () => {
  it('gives a secret', async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, 'file');
    await writeFileDurable(path, 'päss');
    const content = await readPrivateFile(path);
    expect(content.reveal()).toBe('päss');
    expect(inspect(content)).toBe('[secret]');
  });

  it.each([0o644, 0o640, 0o604, 0o660, 0o777])(
    'refuses a file of mode %o and names the command that closes it',
    async (mode) => {
      await using folder = await temporaryFolder();
      const path = join(folder.path, 'file');
      await writeFileDurable(path, 'secret', { mode });
      await expect(readPrivateFile(path)).rejects.toMatchObject({
        code: 'FILE_TOO_OPEN',
        hint: expect.stringContaining(`chmod 600 '${path}'`) as string,
        details: { mode: `0${mode.toString(8)}` },
      });
      expect((await readPrivateFile(path, { requireMode: false })).reveal()).toBe('secret');
    },
  );

  it('says that the file is missing', async () => {
    await expect(readPrivateFile('/no/such/file')).rejects.toMatchObject({
      code: 'FILE_MISSING',
      details: { path: '/no/such/file' },
    });
  });

  it.runIf(isRoot)('refuses a file of another user', async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, 'file');
    await writeFileDurable(path, 'secret');
    await chown(path, 12345, 12345);
    await expect(readPrivateFile(path)).rejects.toMatchObject({ code: 'FILE_FOREIGN' });
  });
});
