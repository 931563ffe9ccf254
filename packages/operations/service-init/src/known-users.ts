import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileDurable } from '@devstack-core/durable-files';

const fileName = '.devstack-users.json';

/**
 * Remembers, in the data directory, every user this stack ever made there, and returns the earlier ones. A user that is not
 * wanted any more is found by it and taken away, also when the start that should have done it was killed.
 */
export async function rememberUsers(directory: string, usernames: readonly string[]): Promise<readonly string[]> {
  const known = await readUsers(join(directory, fileName));
  const all = [...new Set([...known, ...usernames])].sort();
  if (all.length !== known.length)
    await writeFileDurable(join(directory, fileName), `${JSON.stringify(all)}\n`, { mode: 0o600 });
  return known;
}

async function readUsers(path: string): Promise<readonly string[]> {
  try {
    const value: unknown = JSON.parse(await readFile(path, 'utf8'));
    return Array.isArray(value)
      ? (value as unknown[]).filter(
          (name): name is string => typeof name === 'string' && /^[A-Za-z0-9_.@-]{1,63}$/.test(name),
        )
      : [];
  } catch {
    return [];
  }
}
