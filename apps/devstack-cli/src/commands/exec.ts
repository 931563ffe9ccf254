import { DevstackError } from '@devstack-core/errors';
import { listArgument, stringArgument, type Arguments, type Outcome } from '../command.ts';
import type { Context } from '../context.ts';

export async function run(args: Arguments, context: Context): Promise<Outcome> {
  const stack = await context.stack();
  const service = stack.model.service(stringArgument(args, 'service') ?? '');
  const [program, ...rest] = listArgument(args, '--');
  if (program === undefined)
    throw new DevstackError({
      code: 'USAGE',
      message: 'Say what to run after --.',
      hint: `devstack exec ${service.name} -- ls -l`,
    });
  return { exitCode: await stack.compose.execInteractive(service.name, [program, ...rest], {}) };
}
