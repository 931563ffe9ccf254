import { homedir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';
import { toolOf } from '@devstack-core/audit-report';
import { openBackupStore, type BackupStore, type SetEntry } from '@devstack-core/backup-store';
import { DevstackError, isDevstackError } from '@devstack-core/errors';
import { stringArgument, type Arguments } from '../command.ts';
import type { Context } from '../context.ts';
import { readRecipients } from './recipients.ts';
import { readPassphrase, type PassphraseUse } from './passphrase.ts';

/** Folders inside a folder of backups that are stores of their own. */
export type Part = 'vault' | 'snapshots';

/** Where the sets of a project are: `~/devstack-backups`, and a folder below it for every project but the first. */
export function backupDirectory(args: Arguments, context: Context, project: string, part?: Part): string {
  const asked = stringArgument(args, 'directory') ?? context.env['DEVSTACK_BACKUP_DIRECTORY'];
  const own = project === 'devstack' ? [] : [project];
  const directory = asked === undefined || asked === '' ? join(homedir(), 'devstack-backups', ...own) : absolute(asked);
  return part === undefined ? directory : join(directory, part);
}

function absolute(path: string): string {
  return isAbsolute(path) ? path : resolve(path);
}

/** Opens the store of a project. Without a use nothing encrypted can be opened, and no passphrase is asked for. */
export async function openStore(
  args: Arguments,
  context: Context,
  options: { readonly project: string; readonly use?: PassphraseUse | undefined; readonly part?: Part | undefined },
): Promise<BackupStore> {
  const { use } = options;
  const passphrase = use === undefined ? undefined : await readPassphrase(args, context, use);
  // Sets that are made automatically, before something that cannot be undone, have the same readers.
  const recipients = use === 'new' ? await readRecipients(args, context) : [];
  return openBackupStore({
    recipients,
    directory: backupDirectory(args, context, options.project, options.part),
    tool: toolOf('devstack', import.meta.url),
    ...(passphrase === undefined ? {} : { passphrase }),
  });
}

/** The same where a listing alone is wanted: the passphrase if it can be had without asking, so that sets are proved where they can be. */
export async function openStoreToLook(
  args: Arguments,
  context: Context,
  project: string,
  part?: Part,
): Promise<BackupStore> {
  try {
    return await openStore(args, { ...context, interactive: false }, { project, use: 'existing', part });
  } catch (error) {
    if (!isDevstackError(error, 'PASSPHRASE_MISSING')) throw error;
    return openStore(args, context, { project, part });
  }
}

/** The set that was named, or the latest complete one. Throws BACKUP_NOT_FOUND with what was there instead. */
export async function chosenSet(store: BackupStore, id: string | undefined): Promise<string> {
  if (id !== undefined && id !== 'latest') return id;
  const sets = await store.list();
  const latest = sets.find(({ status }) => status === 'complete');
  if (latest !== undefined) return latest.id;
  throw new DevstackError({
    code: 'BACKUP_NOT_FOUND',
    message: `There is no complete backup in ${store.directory}${seen(sets)}.`,
    hint: 'Make one: devstack backup create',
  });
}

function seen(sets: readonly SetEntry[]): string {
  return sets.length === 0 ? '' : ` (there are: ${sets.map(({ id, status }) => `${id}, ${status}`).join('; ')})`;
}
