import { join } from 'node:path';
import { acquireLease, ensurePrivateDirectory } from '@devstack-core/durable-files';
import type { Stack } from './stack.ts';

/** Runs work that changes a stack; one at a time for a project, from any process. Throws LEASE_HELD that names the holder. */
export async function withStackLease<T>(
  stack: Stack,
  options: { readonly owner: string; readonly signal?: AbortSignal | undefined },
  work: () => Promise<T>,
): Promise<T> {
  await ensurePrivateDirectory(stack.project.configDirectory);
  await ensurePrivateDirectory(stack.directories.state);
  const { owner, signal } = options;
  await using _lease = await acquireLease({
    path: join(stack.directories.state, 'stack.lock'),
    owner,
    ...(signal === undefined ? {} : { signal }),
  });
  // Awaited here, as the lease is given back when this function returns.
  return await work();
}
