import { rotateLogins } from '@devstack-core/stack-lifecycle';
import { listArgument, type Arguments, type Outcome } from '../../command.ts';
import type { Context } from '../../context.ts';

export async function run(args: Arguments, context: Context): Promise<Outcome> {
  const rotated = await rotateLogins(await context.stack(), {
    services: listArgument(args, 'services'),
    onEvent: context.onEvent,
  });
  const services = rotated.map((consumer) => consumer.service);
  return {
    data: { schema: 'devstack/rotate-secret-ids/1', services },
    text: `New secret_ids for ${services.join(', ')}; the old ones are destroyed.\n`,
  };
}
