import { ExitCode } from '@devstack-core/errors';
import { health, selectServices, type Stack } from '@devstack-core/stack-lifecycle';
import { listArgument, type Arguments, type Outcome } from '../command.ts';
import type { Context } from '../context.ts';
import { table } from '../output/table.ts';

export async function run(args: Arguments, context: Context): Promise<Outcome> {
  const stack = await context.stack();
  const named = listArgument(args, 'services');
  const services = named.length > 0 ? selectServices(stack.model, { services: named }) : await started(stack);
  if (services.length === 0)
    return {
      data: { schema: 'devstack/health/1', healthy: false, services: [] },
      text: 'Nothing is running. Next: devstack up\n',
      exitCode: ExitCode.findings,
    };
  const report = await health(stack, services, { signal: context.signal });
  const rows = report.services.map((one) => [
    one.service,
    one.healthy ? 'healthy' : 'NOT HEALTHY',
    `${String(Math.round(one.latencyMs))} ms`,
    one.healthy ? one.checked : (one.reason ?? ''),
    one.healthy ? '' : (one.nextStep ?? ''),
  ]);
  return {
    data: { schema: 'devstack/health/1', ...report },
    text: table(['service', 'health', 'took', 'asked', 'next'], rows),
    exitCode: report.healthy ? ExitCode.done : ExitCode.findings,
  };
}

// Every service that has a container should serve; what was never brought up is not a finding.
async function started(stack: Stack): Promise<ReturnType<typeof selectServices>> {
  const containers = await (await stack.engine()).listContainers({ project: stack.project.id, all: true });
  return stack.model.services.filter((service) => containers.some((container) => container.service === service.name));
}
