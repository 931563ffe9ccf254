import { restart } from '@devstack-core/stack-lifecycle';
import { listArgument, type Arguments, type Outcome } from '../command.ts';
import type { Context } from '../context.ts';

export async function run(args: Arguments, context: Context): Promise<Outcome> {
  const result = await restart(await context.stack(), {
    services: listArgument(args, 'services'),
    onEvent: context.onEvent,
    signal: context.signal,
  });
  const services = result.services.map((service) => service.service);
  return {
    data: {
      schema: 'devstack/restart/1',
      project: result.project,
      services,
      durationMs: Math.round(result.durationMs),
    },
    text:
      services.length === 0
        ? 'Nothing was running.\n'
        : `Healthy again: ${services.join(', ')} (${(result.durationMs / 1000).toFixed(1)} s).\n`,
  };
}
