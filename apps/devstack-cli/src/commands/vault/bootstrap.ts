import { bootstrap, deliverLogins } from '@devstack-core/stack-lifecycle';
import type { Arguments, Outcome } from '../../command.ts';
import type { Context } from '../../context.ts';

export async function run(args: Arguments, context: Context): Promise<Outcome> {
  const stack = await context.stack();
  const force = args['force'] === true;
  const outcome = await bootstrap(stack, { onEvent: context.onEvent, force });
  const delivered = await deliverLogins(stack, stack.model.services, { onEvent: context.onEvent, force });
  return {
    data: {
      schema: 'devstack/vault-bootstrap/1',
      changed: outcome.changed || delivered.changed,
      detail: outcome.detail,
      delivered: delivered.detail,
    },
    text: `${outcome.changed ? 'Changed' : 'Unchanged'}: ${outcome.detail}. Logins: ${delivered.detail}.\n`,
  };
}
