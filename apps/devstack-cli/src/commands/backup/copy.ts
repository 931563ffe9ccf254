import { DevstackError } from '@devstack-core/errors';
import { chosenSet, openStore } from '../../backup/store.ts';
import { targetOf } from '../../backup/target.ts';
import { stringArgument, type Arguments, type Outcome } from '../../command.ts';
import type { Context } from '../../context.ts';

export async function run(args: Arguments, context: Context): Promise<Outcome> {
  const { project } = await context.stack();
  const to = stringArgument(args, 'to');
  const from = stringArgument(args, 'from');
  const named = stringArgument(args, 'id');
  if ((to === undefined) === (from === undefined))
    throw new DevstackError({
      code: 'USAGE',
      message: 'Name either --to or --from.',
      hint: 'See: devstack backup copy --help',
    });
  const store = await openStore(args, context, { project: project.id, use: 'existing' });
  const signal = { signal: context.signal };
  if (to !== undefined) {
    const id = await chosenSet(store, named);
    const report = await store.copySet(id, targetOf(to, context), signal);
    return {
      data: { schema: 'devstack/backup-copy/1', ...report },
      text: `Backup ${id} is at ${to}, compared there byte for byte.\n`,
    };
  }
  const target = targetOf(from ?? '', context);
  const id = named ?? (await target.sets()).toSorted().at(-1);
  if (id === undefined)
    throw new DevstackError({
      code: 'BACKUP_NOT_FOUND',
      message: `There is no backup at ${target.label}.`,
      hint: 'Look at the address.',
    });
  const report = await store.fetchSet(id, target, signal);
  return { data: { schema: 'devstack/backup-copy/1', ...report }, text: `Backup ${id} is in ${store.directory}.\n` };
}
