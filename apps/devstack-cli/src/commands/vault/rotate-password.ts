import { rotatePassword } from '@devstack-core/stack-lifecycle';
import { stringArgument, type Arguments, type Outcome } from '../../command.ts';
import type { Context } from '../../context.ts';
import { roleOf } from './role-of.ts';

export async function run(args: Arguments, context: Context): Promise<Outcome> {
  const stack = await context.stack();
  const role = roleOf(stack, stringArgument(args, 'service') ?? '');
  await context.confirm(`This gives ${role} a new password and restarts what uses it.`, args['yes'] === true);
  const result = await rotatePassword(stack, { role, onEvent: context.onEvent, signal: context.signal });
  const restarted = result.restarted.length === 0 ? 'nothing was running' : `restarted ${result.restarted.join(', ')}`;
  return {
    data: { schema: 'devstack/rotate-password/1', ...result },
    text: `${role} has a new password; ${restarted}.\n`,
  };
}
