import { open } from 'node:fs/promises';

/** Makes the entries of a directory durable: a rename or an unlink survives a crash only after this. See fsync(2). */
export async function syncDirectory(path: string): Promise<void> {
  await using handle = await open(path, 'r');
  await handle.sync();
}
