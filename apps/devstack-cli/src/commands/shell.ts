import { DevstackError } from '@devstack-core/errors';
import { stringArgument, type Arguments, type Outcome } from '../command.ts';
import type { Context } from '../context.ts';

/** How each protocol's prompt is opened: the engine's own client inside the container where there is one, else a prompt of ours. */
const shells: Readonly<Record<string, (service: string, context: Context) => Promise<number>>> = {
  // The container's own credential files log the client in, so the password is in no argument and no variable.
  postgresql: (service, context) =>
    inContainer(context, service, [
      'env',
      'PGSERVICEFILE=/run/credentials/pg_service.conf',
      'psql',
      'service=health application_name=devstack-shell',
    ]),
  pgbouncer: (service, context) =>
    inContainer(context, service, [
      'env',
      'PGSERVICEFILE=/run/credentials/pg_service.conf',
      'psql',
      'service=health application_name=devstack-shell',
    ]),
  mysql: async (service, context) => (await import('../shells/mysql.ts')).mysqlShell(service, context),
  vault: (service, context) => inContainer(context, service, ['sh']),
  'redis-cluster': async (service, context) => (await import('../shells/redis.ts')).redisShell(service, context),
  mongodb: async (service, context) => (await import('../shells/mongo.ts')).mongoShell(service, context),
  rabbitmq: async (service, context) => (await import('../shells/rabbitmq.ts')).rabbitmqShell(service, context),
};

export async function run(args: Arguments, context: Context): Promise<Outcome> {
  const stack = await context.stack();
  const word = stringArgument(args, 'service') ?? '';
  // `redis` is all of its nodes: any of them leads to the whole cluster.
  const service = stack.model.services.find((candidate) => candidate.role === word) ?? stack.model.service(word);
  const open = shells[service.protocol ?? ''];
  if (open === undefined) {
    throw new DevstackError({
      code: 'NO_SHELL',
      message: `${service.name} has no prompt of its own.`,
      hint: `A shell in its container: devstack exec ${service.name} -- sh`,
    });
  }
  return { exitCode: await open(service.name, context) };
}

async function inContainer(context: Context, service: string, argv: readonly [string, ...string[]]): Promise<number> {
  return (await context.stack()).compose.execInteractive(service, argv, {});
}
