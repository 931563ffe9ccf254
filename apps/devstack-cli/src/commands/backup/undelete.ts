import { openStore } from '../../backup/store.ts';
import { stringArgument, type Arguments, type Outcome } from '../../command.ts';
import type { Context } from '../../context.ts';

export async function run(args: Arguments, context: Context): Promise<Outcome> {
  const { project } = await context.stack();
  const store = await openStore(args, context, { project: project.id, use: 'existing' });
  const { id } = await store.undelete(stringArgument(args, 'id') ?? '');
  return { data: { schema: 'devstack/backup-undelete/1', id }, text: `Backup ${id} is back.\n` };
}
