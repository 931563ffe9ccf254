import { lstat, mkdir, mkdtemp, readdir, readlink, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { replaceLinkDurable } from './index.ts';

describe('replaceLinkDurable', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'replace-link-'));
  });
  afterEach(async () => rm(folder, { recursive: true, force: true }));

  it('makes a link and switches it, without a moment in which there is none', async () => {
    const path = join(folder, 'current');
    await replaceLinkDurable(path, 'a');
    let missing = 0;
    const end = new AbortController();
    const watching = (async () => {
      while (!end.signal.aborted) await lstat(path).catch(() => missing++);
    })();
    for (let round = 0; round < 200; round++) await replaceLinkDurable(path, round % 2 === 0 ? 'b' : 'a');
    end.abort();
    await watching;
    expect(missing).toBe(0);
    expect(await readlink(path)).toBe('a');
    expect(await readdir(folder)).toEqual(['current']);
  });

  it('replaces a file, refuses a folder, and leaves nothing of its own behind', async () => {
    await writeFile(join(folder, 'file'), 'x');
    await replaceLinkDurable(join(folder, 'file'), 'a');
    expect(await readlink(join(folder, 'file'))).toBe('a');
    await mkdir(join(folder, 'folder'));
    await expect(replaceLinkDurable(join(folder, 'folder'), 'a')).rejects.toMatchObject({ code: 'FILE_FAILED' });
    await expect(replaceLinkDurable(join(folder, 'nowhere', 'x'), 'a')).rejects.toMatchObject({ code: 'FILE_MISSING' });
    expect((await readdir(folder)).toSorted()).toEqual(['file', 'folder']);
  });
});
