import { chmod, lstat, mkdir, readFile, readdir, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Secret } from '@devstack-core/redaction';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { startScript } from '../test/child.ts';
import { temporaryFolder } from '../test/folder.ts';
import { removeDurable, writeFileDurable, type WriteStep } from './index.ts';

const steps: readonly WriteStep[] = ['opened', 'written', 'synced', 'renamed', 'directory-synced'];

describe('a durable write', () => {
  it('gives back what was written, for any bytes', async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, 'file');
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 5000 }), async (bytes) => {
        await writeFileDurable(path, bytes);
        expect(new Uint8Array(await readFile(path))).toEqual(bytes);
      }),
      { numRuns: 30 },
    );
    expect(await readdir(folder.path)).toEqual(['file']);
  });

  it.each([
    ['text', 'päss'],
    ['a secret', new Secret('päss')],
    ['secret bytes', new Secret(new TextEncoder().encode('päss'))],
  ])('takes %s', async (_, data) => {
    await using folder = await temporaryFolder();
    await writeFileDurable(join(folder.path, 'file'), data);
    expect(await readFile(join(folder.path, 'file'), 'utf8')).toBe('päss');
  });

  it('closes the file to others before the first byte, and gives it exactly the wanted mode whatever the umask', async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, 'file');
    const modes: string[] = [];
    const umask = process.umask(0o077);
    try {
      await writeFileDurable(path, 'x', {
        onStep: async (step) => {
          const [name = ''] = await readdir(folder.path);
          modes.push(`${step} ${((await stat(join(folder.path, name))).mode & 0o777).toString(8)}`);
        },
      });
      await writeFileDurable(path, 'x', { mode: 0o644 });
    } finally {
      process.umask(umask);
    }
    expect(modes).toEqual(steps.map((step) => `${step} 600`));
    expect((await stat(path)).mode & 0o777).toBe(0o644);
  });

  it('replaces a symbolic link and leaves alone what it points to', async () => {
    await using folder = await temporaryFolder();
    await writeFile(join(folder.path, 'target'), 'target');
    await symlink('target', join(folder.path, 'link'));
    await writeFileDurable(join(folder.path, 'link'), 'new');
    expect((await lstat(join(folder.path, 'link'))).isSymbolicLink()).toBe(false);
    expect(await readFile(join(folder.path, 'target'), 'utf8')).toBe('target');
  });

  it('passes the error of a step on and leaves no temporary file', async () => {
    await using folder = await temporaryFolder();
    const failing = writeFileDurable(join(folder.path, 'file'), 'x', {
      onStep: () => {
        throw new Error('stop here');
      },
    });
    await expect(failing).rejects.toThrow('stop here');
    expect(await readdir(folder.path)).toEqual([]);
  });

  it('says what is wrong with the folder', async () => {
    await using folder = await temporaryFolder();
    await writeFile(join(folder.path, 'file'), '');
    await mkdir(join(folder.path, 'directory'));
    const codeOf = (path: string): Promise<unknown> =>
      writeFileDurable(join(folder.path, path), 'x').catch((error: unknown) => error);
    expect(await codeOf('missing/file')).toMatchObject({ code: 'FILE_MISSING', details: { errno: 'ENOENT' } });
    expect(await codeOf('file/below')).toMatchObject({ code: 'NOT_A_DIRECTORY' });
    expect(await codeOf('directory')).toMatchObject({ code: 'FILE_FAILED' });
  });
});

describe('a durable write that is killed', () => {
  it('leaves the old or the new content, whole, at every step', async () => {
    const hits: string[] = [];
    for (const step of steps) {
      await using folder = await temporaryFolder();
      const path = join(folder.path, 'file');
      await writeFile(path, 'old');
      await using script = startScript('write-and-stop.ts', path, 'new', step);
      const reached = await script.nextLine();
      await script.kill();
      const left = (await readdir(folder.path)).filter((name) => name.endsWith('.tmp'));
      for (const name of left) expect((await stat(join(folder.path, name))).mode & 0o777).toBe(0o600);
      hits.push(`killed after ${reached}: ${await readFile(path, 'utf8')}, ${String(left.length)} left behind`);
    }
    expect(hits).toEqual([
      'killed after opened: old, 1 left behind',
      'killed after written: old, 1 left behind',
      'killed after synced: old, 1 left behind',
      'killed after renamed: new, 0 left behind',
      'killed after directory-synced: new, 0 left behind',
    ]);
  });

  it('leaves a temporary file that the next write of the same file takes away once it is old', async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, 'file');
    const living = join(folder.path, `.file.${String(process.pid)}-0123456789ab.tmp`);
    const other = join(folder.path, '.other.1-0123456789ab.tmp');
    const young = join(folder.path, '.file.4194304-0123456789ab.tmp');
    const old = join(folder.path, '.file.4194303-0123456789ab.tmp');
    for (const name of [living, other, young, old]) await writeFile(name, 'left');
    for (const name of [living, other, old]) await utimes(name, new Date(0), new Date(0));
    await writeFileDurable(path, 'new');
    expect((await readdir(folder.path)).sort()).toEqual(
      [living, other, young, path].map((name) => name.slice(folder.path.length + 1)).sort(),
    );
  });
});

describe('a durable removal', () => {
  it('removes a file, and is content when there is none', async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, 'file');
    await writeFile(path, '');
    await removeDurable(path);
    await removeDurable(path);
    expect(await readdir(folder.path)).toEqual([]);
    await expect(removeDurable(folder.path)).rejects.toMatchObject({ details: { path: folder.path } });
    await chmod(folder.path, 0o700);
  });
});
