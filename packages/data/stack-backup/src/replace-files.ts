import { existsSync } from 'node:fs';
import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/** Moves what is there to a place whose former content goes. */
export async function replaceWith(from: string, to: string): Promise<void> {
  await mkdir(dirname(to), { recursive: true, mode: 0o700 });
  await rm(to, { recursive: true, force: true });
  await rename(from, to);
}

/**
 * Gives a project's folder the named folders of a backup; one that the backup does not have goes. The lease in `state` stays: whoever
 * calls this holds it.
 */
export async function replaceFolders(unpacked: string, folder: string, names: readonly string[]): Promise<void> {
  for (const name of names) {
    const isState = name === 'state';
    const old = isState ? await entriesOf(join(folder, name)) : [''];
    for (const entry of old)
      if (entry !== 'stack.lock') await rm(join(folder, name, entry), { recursive: true, force: true });
    const entries = isState ? await entriesOf(join(unpacked, name)) : existsSync(join(unpacked, name)) ? [''] : [];
    for (const entry of entries) await replaceWith(join(unpacked, name, entry), join(folder, name, entry));
  }
}

async function entriesOf(folder: string): Promise<readonly string[]> {
  return existsSync(folder) ? readdir(folder) : [];
}
