import { DevstackError } from '@devstack-core/errors';
import { readServiceSecret } from '@devstack-core/service-secrets';
import { operatorSession } from '@devstack-core/stack-lifecycle';
import { stringArgument, type Arguments, type Outcome } from '../../command.ts';
import type { Context } from '../../context.ts';
import { roleOf } from './role-of.ts';

export async function run(args: Arguments, context: Context): Promise<Outcome> {
  const stack = await context.stack();
  const role = roleOf(stack, stringArgument(args, 'service') ?? '');
  const field = stringArgument(args, 'field') ?? 'password';
  await using session = await operatorSession(stack);
  const secret = await readServiceSecret(session.client, role);
  const value = secret !== undefined && Object.hasOwn(secret, field) ? secret[field] : undefined;
  if (value === undefined) {
    const fields = Object.keys(secret ?? {});
    throw new DevstackError({
      code: 'NO_SUCH_FIELD',
      message: `The secret of ${role} has no field ${JSON.stringify(field)}.`,
      hint:
        fields.length === 0 ? 'Run: devstack vault bootstrap --force' : `Name one with --field: ${fields.join(', ')}`,
    });
  }
  const username = secret?.['username']?.reveal() ?? null;
  return {
    data: { schema: 'devstack/show-password/1', role, field, username, value: value.reveal() },
    text: `${value.reveal()}\n`,
  };
}
