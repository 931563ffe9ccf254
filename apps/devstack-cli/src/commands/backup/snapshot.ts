import { bytesText, createSnapshot, restoreSnapshot } from '@devstack-core/stack-backup';
import { chosenSet, openStore, openStoreToLook } from '../../backup/store.ts';
import { stringArgument, type Arguments, type Outcome } from '../../command.ts';
import type { Context } from '../../context.ts';
import { listing } from './list.ts';

/** Volumes of a stopped stack, in a store of their own below the folder of backups. */
export async function create(args: Arguments, context: Context): Promise<Outcome> {
  const stack = await context.stack();
  const store = await openStore(args, context, { project: stack.project.id, use: 'new', part: 'snapshots' });
  await context.confirm('This stops the stack until its volumes are copied.', args['yes'] === true);
  const { manifest, storedBytes, durationMs } = await createSnapshot(stack, store, {
    onEvent: context.onEvent,
    signal: context.signal,
  });
  const path = `${store.directory}/${manifest.id}`;
  return {
    data: { schema: 'devstack/snapshot-create/1', id: manifest.id, path, storedBytes, durationMs },
    text: `Snapshot ${manifest.id}, ${bytesText(storedBytes)}, is in ${path}.\nNext, to go back to it: devstack snapshot restore ${manifest.id}\n`,
  };
}

export async function restore(args: Arguments, context: Context): Promise<Outcome> {
  const stack = await context.stack();
  const store = await openStore(args, context, { project: stack.project.id, use: 'existing', part: 'snapshots' });
  const id = await chosenSet(store, stringArgument(args, 'id'));
  await context.confirm(
    `This replaces every volume of the stack by what the snapshot ${id} holds.`,
    args['yes'] === true,
  );
  const { volumes } = await restoreSnapshot(stack, store, { id, onEvent: context.onEvent, signal: context.signal });
  return {
    data: { schema: 'devstack/snapshot-restore/1', id, volumes },
    text: `${String(volumes.length)} volumes are as in the snapshot ${id}, and the stack is up.\n`,
  };
}

export async function list(args: Arguments, context: Context): Promise<Outcome> {
  const { project } = await context.stack();
  return listing(await openStoreToLook(args, context, project.id, 'snapshots'));
}
