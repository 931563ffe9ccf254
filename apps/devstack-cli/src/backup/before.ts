import { DevstackError, isDevstackError } from '@devstack-core/errors';
import { backUpStack, createSnapshot } from '@devstack-core/stack-backup';
import type { Stack } from '@devstack-core/stack-lifecycle';
import type { Arguments } from '../command.ts';
import type { Context } from '../context.ts';
import { openStore } from './store.ts';

/**
 * The backup that comes before something that cannot be undone, unless `--no-backup`: of the running stack as a set, of one that does not
 * run as a snapshot of its volumes. Gives its path, or undefined where there is nothing to back up. Throws PASSPHRASE_MISSING with the way to say no.
 */
export async function backupBefore(args: Arguments, context: Context, stack: Stack): Promise<string | undefined> {
  if (args['backup'] === false) return undefined;
  const engine = await stack.engine();
  const [containers, volumes] = await Promise.all([
    engine.listContainers({ project: stack.project.id, all: true }),
    engine.listVolumes({ project: stack.project.id }),
  ]);
  if (volumes.length === 0) return undefined;
  const isRunning = containers.length > 0 && containers.every(({ state }) => state === 'running');
  const events = { onEvent: context.onEvent, signal: context.signal };
  try {
    const part = isRunning ? {} : { part: 'snapshots' as const };
    const store = await openStore(args, context, { project: stack.project.id, use: 'new', ...part });
    const { manifest } = isRunning
      ? await backUpStack(stack, store, events)
      : await createSnapshot(stack, store, events);
    return `${store.directory}/${manifest.id}`;
  } catch (error) {
    if (!isDevstackError(error) || error.code === 'INTERRUPTED') throw error;
    throw new DevstackError({
      code: error.code,
      message: `The backup before this could not be made, and nothing was changed: ${error.message}`,
      hint: `${error.hint ?? ''} To do without: --no-backup`.trim(),
      cause: error,
    });
  }
}
