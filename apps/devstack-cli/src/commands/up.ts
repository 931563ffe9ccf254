import { DevstackError } from '@devstack-core/errors';
import { portsInUse, up, type UpResult } from '@devstack-core/stack-lifecycle';
import { listArgument, stringArgument, type Arguments, type Outcome } from '../command.ts';
import type { Context } from '../context.ts';
import { table } from '../output/table.ts';

export async function run(args: Arguments, context: Context): Promise<Outcome> {
  const timeoutS = Number(stringArgument(args, 'timeout') ?? '300');
  if (!Number.isFinite(timeoutS) || timeoutS <= 0)
    throw new DevstackError({
      code: 'USAGE',
      message: `--timeout is ${JSON.stringify(args['timeout'])}; it takes seconds above 0.`,
    });
  const stack = await context.stack();
  const profile = stringArgument(args, 'profile') ?? context.env['DEVSTACK_PROFILE'];
  const result = await up(stack, {
    profile,
    services: listArgument(args, 'services'),
    onEvent: context.onEvent,
    signal: context.signal,
    deadlineMs: timeoutS * 1000,
  });
  const addresses = new Map(
    stack.model.services.map((service) => [
      service.name,
      portsInUse(service).map((port) => `${port.hostAddress}:${String(port.hostPort)}`),
    ]),
  );
  return { data: describe(result, addresses), text: render(result, addresses) };
}

function describe(result: UpResult, addresses: ReadonlyMap<string, readonly string[]>): unknown {
  return {
    schema: 'devstack/up/1',
    project: result.project,
    profile: result.profile,
    changed: result.changed,
    durationMs: Math.round(result.durationMs),
    services: result.services.map((service) => ({
      service: service.service,
      healthy: service.healthy,
      latencyMs: Math.round(service.latencyMs),
      addresses: addresses.get(service.service) ?? [],
    })),
  };
}

function render(result: UpResult, addresses: ReadonlyMap<string, readonly string[]>): string {
  const rows = result.services.map((service) => [
    service.service,
    (addresses.get(service.service) ?? []).join(' '),
    `${String(Math.round(service.latencyMs))} ms`,
  ]);
  return [
    `\n${table(['service', 'address', 'answered in'], rows)}`,
    `All ${String(result.services.length)} services are healthy after ${(result.durationMs / 1000).toFixed(1)} s.`,
    '',
    'Next:',
    '  ./devstack status                         what runs, and how it logs in',
    '  ./devstack vault show-password postgres   get a password',
    '  ./devstack shell postgres                 a prompt, already logged in',
    '',
  ].join('\n');
}
