import type { Arguments, Outcome } from '../command.ts';
import type { Context } from '../context.ts';
import { portsInUse } from '@devstack-core/stack-lifecycle';
import { table } from '../output/table.ts';

export async function run(_args: Arguments, context: Context): Promise<Outcome> {
  const stack = await context.stack();
  const ports = stack.model.services.flatMap((service) =>
    service.ports.map((port) => ({
      service: service.name,
      name: port.name,
      address: port.hostAddress,
      port: port.hostPort,
      containerPort: port.containerPort,
      variable: port.variable ?? null,
      open: portsInUse(service).includes(port),
    })),
  );
  const rows = ports.map((port) => [
    port.service,
    port.name,
    `${port.address}:${String(port.port)}`,
    String(port.containerPort),
    port.variable ?? '',
    port.open ? '' : 'closed in this TLS mode',
  ]);
  return {
    data: { schema: 'devstack/ports/1', project: stack.project.id, ports },
    text: table(['service', 'port', 'address', 'in container', 'moved by', 'note'], rows),
  };
}
