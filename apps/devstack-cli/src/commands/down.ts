import { down } from '@devstack-core/stack-lifecycle';
import { listArgument, type Arguments, type Outcome } from '../command.ts';
import type { Context } from '../context.ts';

export async function run(args: Arguments, context: Context): Promise<Outcome> {
  const result = await down(await context.stack(), {
    services: listArgument(args, 'services'),
    remove: args['remove'] === true,
    onEvent: context.onEvent,
    signal: context.signal,
  });
  const what = result.stopped.length === 0 ? 'Nothing was running.' : `Stopped ${result.stopped.join(', ')}.`;
  return {
    data: { schema: 'devstack/down/1', ...result },
    text: `${what} Data and passwords are kept; devstack up brings it back.\n`,
  };
}
