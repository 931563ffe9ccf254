import { DevstackError, ExitCode } from '@devstack-core/errors';
import { ensureImages, imageStates, selectServices } from '@devstack-core/stack-lifecycle';
import { stringArgument, type Arguments, type Outcome } from '../command.ts';
import type { Context } from '../context.ts';
import { table } from '../output/table.ts';

export async function run(args: Arguments, context: Context): Promise<Outcome> {
  const stack = await context.stack();
  const profile = stringArgument(args, 'profile');
  const services = profile === undefined ? stack.model.services : selectServices(stack.model, { profile });
  const action = stringArgument(args, 'action');
  if (action !== undefined && action !== 'build')
    throw new DevstackError({
      code: 'USAGE',
      message: `images knows no ${JSON.stringify(action)}.`,
      hint: 'devstack images, or devstack images build',
    });
  if (action === 'build')
    await ensureImages(stack, services, {
      onEvent: context.onEvent,
      signal: context.signal,
      rebuild: args['rebuild'] === true,
    });
  const images = await imageStates(stack, services);
  const rows = images.map((image) => [
    image.service,
    image.image,
    image.present ? `${((image.sizeBytes ?? 0) / 1e6).toFixed(0)} MB` : 'missing',
    image.present ? image.source : '',
    [image.engine, image.engineVersion].filter((part) => part !== null).join(' '),
  ]);
  return {
    data: { schema: 'devstack/images/1', images },
    text: table(['service', 'image', 'size', 'source', 'engine'], rows),
    exitCode: ExitCode.done,
  };
}
