import { backUpStack, bytesText, restoreVaultAlone } from '@devstack-core/stack-backup';
import { chosenSet, openStore, openStoreToLook } from '../../backup/store.ts';
import { stringArgument, type Arguments, type Outcome } from '../../command.ts';
import type { Context } from '../../context.ts';
import { createdDocument } from './create.ts';
import { listing } from './list.ts';
import { rotation } from './rotate.ts';
import { verification } from './verify.ts';

/** Vault alone, in a store of its own below the folder of backups. */
export async function backup(args: Arguments, context: Context): Promise<Outcome> {
  const stack = await context.stack();
  const store = await openStore(args, context, { project: stack.project.id, use: 'new', part: 'vault' });
  const created = await backUpStack(stack, store, {
    only: ['vault'],
    onEvent: context.onEvent,
    signal: context.signal,
  });
  const { manifest, storedBytes } = created;
  const path = `${store.directory}/${manifest.id}`;
  return {
    data: createdDocument(created, path, []),
    text: `Backup ${manifest.id} of Vault, ${bytesText(storedBytes)}, is in ${path}.\nNext: devstack vault verify-backup\n`,
  };
}

export async function restore(args: Arguments, context: Context): Promise<Outcome> {
  const stack = await context.stack();
  const store = await openStore(args, context, { project: stack.project.id, use: 'existing', part: 'vault' });
  const id = await chosenSet(store, stringArgument(args, 'id'));
  await context.confirm(
    `This replaces Vault's data, keys, logins and certificates by those of the backup ${id}; services are restarted.`,
    args['yes'] === true,
  );
  const result = await restoreVaultAlone(stack, store, { id, onEvent: context.onEvent, signal: context.signal });
  return {
    data: { schema: 'devstack/vault-restore/1', id, ...result },
    text: `Vault is as in the backup ${id}. What was there before is in ${result.keptAt}\n`,
  };
}

export async function list(args: Arguments, context: Context): Promise<Outcome> {
  const { project } = await context.stack();
  return listing(await openStoreToLook(args, context, project.id, 'vault'));
}

export async function verify(args: Arguments, context: Context): Promise<Outcome> {
  const { project } = await context.stack();
  const store = await openStore(args, context, { project: project.id, use: 'existing', part: 'vault' });
  return verification({ ...args, level: '3' }, context, store);
}

export async function rotate(args: Arguments, context: Context): Promise<Outcome> {
  const { project } = await context.stack();
  return rotation(args, await openStore(args, context, { project: project.id, use: 'existing', part: 'vault' }));
}
