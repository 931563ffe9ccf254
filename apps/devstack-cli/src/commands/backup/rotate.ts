import type { BackupStore } from '@devstack-core/backup-store';
import { describeReason } from '@devstack-core/backup-rotation';
import { DevstackError } from '@devstack-core/errors';
import { bytesText } from '@devstack-core/stack-backup';
import { openStore } from '../../backup/store.ts';
import { stringArgument, type Arguments, type Outcome } from '../../command.ts';
import type { Context } from '../../context.ts';
import { table } from '../../output/table.ts';

export async function run(args: Arguments, context: Context): Promise<Outcome> {
  const { project } = await context.stack();
  return rotation(args, await openStore(args, context, { project: project.id, use: 'existing' }));
}

/** Plans, says why, and removes unless it is a dry run. */
export async function rotation(args: Arguments, store: BackupStore): Promise<Outcome> {
  const dryRun = args['dry-run'] === true;
  const policy = {
    daily: count(args, 'keep-daily'),
    weekly: count(args, 'keep-weekly'),
    monthly: count(args, 'keep-monthly'),
    keepLast: count(args, 'keep-last'),
  };
  const { plan, removed } = await store.rotate(policy, { dryRun });
  if (args['purge'] === true && !dryRun) await store.sweep({ emptyTrash: true });
  const rows = [
    ...plan.keep.map(({ id, reasons }) => [id, 'keep', reasons.map(describeReason).join('; ')]),
    ...plan.remove.map(({ id, why }) => [id, dryRun ? 'would go' : 'removed', why]),
  ].toSorted(([a = ''], [b = '']) => (a < b ? 1 : -1));
  const freed = `${dryRun ? 'Would free' : 'Frees'} ${bytesText(plan.freedBytes)}`;
  const undo = removed.length === 0 || args['purge'] === true ? '' : '; for a week: devstack backup undelete ID';
  return {
    data: { schema: 'devstack/backup-rotate/1', dryRun, ...plan, removed: removed.map(({ id }) => id) },
    text:
      rows.length === 0
        ? `No backups in ${store.directory}.\n`
        : `${table(['set', 'what', 'why'], rows)}${freed}${undo}.\n`,
  };
}

function count(args: Arguments, flag: string): number {
  const text = stringArgument(args, flag) ?? '0';
  if (/^\d{1,4}$/.test(text)) return Number(text);
  throw new DevstackError({
    code: 'USAGE',
    message: `--${flag} is ${JSON.stringify(text)}.`,
    hint: 'Give a whole number, 0 or more.',
  });
}
