import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { filesSource, type BackupPart, type FilesRoot } from '@devstack-core/database-backup';
import type { Stack } from '@devstack-core/stack-lifecycle';

/** The checkout's own settings: what the compose files say, what services read, and the user's `.env`. */
export function configurationRoots(root: string): readonly FilesRoot[] {
  const roots = [
    { name: 'compose', path: join(root, 'infrastructure/compose') },
    { name: 'configs', path: join(root, 'configs'), exclude: ['tooling'] },
    { name: 'env', path: join(root, '.env') },
  ];
  return roots.filter(({ path }) => existsSync(path));
}

/** Configuration as parts of a set. Each says which project it is of and what ran, so that an empty machine can become the same stack. */
export async function* openConfigurationParts(
  stack: Stack,
  running: readonly string[],
  signal: AbortSignal | undefined,
): AsyncGenerator<BackupPart, void, undefined> {
  const { id, subnetPrefix, portOffset } = stack.project;
  const place = { roots: configurationRoots(stack.project.root) };
  for await (const part of filesSource.open(place, signal === undefined ? {} : { signal }))
    yield { ...part, metadata: { ...part.metadata, project: id, subnetPrefix, portOffset, services: running } };
}
