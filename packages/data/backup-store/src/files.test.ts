import { execFileSync } from 'node:child_process';
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { folderBytes, isFolder, measureFile, namesIn, readSmall, regularSize } from './files.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'devstack-files-'));
  await writeFile(join(folder, 'file'), 'abc');
  await symlink(join(folder, 'file'), join(folder, 'link'));
  execFileSync('mkfifo', [join(folder, 'pipe')]);
});
afterAll(async () => rm(folder, { recursive: true, force: true }));

it('a file is measured; a link, a pipe, a folder and nothing are no files, and keep nobody waiting', async () => {
  await expect(measureFile(join(folder, 'file'))).resolves.toEqual({
    bytes: 3,
    sha256: 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
  });
  await expect(measureFile(join(folder, 'file'), AbortSignal.abort())).rejects.toMatchObject({ code: 'INTERRUPTED' });
  for (const name of ['link', 'pipe', '.', 'none', 'file/below']) {
    await expect(measureFile(join(folder, name)), name).rejects.toMatchObject({ code: 'BACKUP_INCOMPLETE' });
    await expect(readSmall(join(folder, name)), name).resolves.toBeUndefined();
    await expect(regularSize(join(folder, name)), name).resolves.toBeUndefined();
  }
  await expect(readSmall(join(folder, 'file'), 2)).resolves.toBeUndefined();
  await expect(readSmall(join(folder, 'file'))).resolves.toBe('abc');
});

it('folders are told from links to them, and counted without following any', async () => {
  await symlink(folder, join(folder, 'circle'));
  await expect(isFolder(folder)).resolves.toBe(true);
  for (const name of ['circle', 'file', 'none', 'file/below'])
    await expect(isFolder(join(folder, name))).resolves.toBe(false);
  await expect(folderBytes(folder)).resolves.toBe(3);
  await expect(namesIn(join(folder, 'none'))).resolves.toEqual([]);
  await expect(namesIn(join(folder, 'file'))).resolves.toEqual([]);
});
