import { planReset, reset } from '@devstack-core/stack-lifecycle';
import { backupBefore } from '../backup/before.ts';
import type { Arguments, Outcome } from '../command.ts';
import type { Context } from '../context.ts';

export async function run(args: Arguments, context: Context): Promise<Outcome> {
  const stack = await context.stack();
  const plan = await planReset(stack);
  const words = `${String(plan.containers.length)} containers, ${String(plan.volumes.length)} volumes with all their data, and the folder ${plan.folders.join(', ')} with Vault's keys`;
  if (args['dry-run'] === true)
    return { data: { schema: 'devstack/reset/1', dryRun: true, ...plan }, text: `Would remove ${words}.\n` };
  await context.confirm(`This removes ${words} for good.`, args['yes'] === true);
  const backup = await backupBefore(args, context, stack);
  const removed = await reset(stack, { onEvent: context.onEvent, signal: context.signal });
  const saved = backup === undefined ? '' : ` A backup is in ${backup}; back to it: devstack recover`;
  return {
    data: { schema: 'devstack/reset/1', dryRun: false, ...removed, backup: backup ?? null },
    text: `Removed ${words}.${saved}\n`,
  };
}
