import { DevstackError } from '@devstack-core/errors';
import { ServiceInitErrorCode } from './errors.ts';
import { lazyServiceInit, type ServiceInit } from './service-init.ts';

/** Every engine that container-init can become, by name. The code of an engine is loaded when it is used. */
export const serviceInits: Readonly<Record<string, ServiceInit>> = {
  postgres: lazyServiceInit('postgres', async () => (await import('./postgres.ts')).postgresInit),
  pgbouncer: lazyServiceInit('pgbouncer', async () => (await import('./pgbouncer.ts')).pgbouncerInit),
  redis: lazyServiceInit('redis', async () => (await import('./redis.ts')).redisInit),
  mysql: lazyServiceInit('mysql', async () => (await import('./mysql.ts')).mysqlInit),
  rabbitmq: lazyServiceInit('rabbitmq', async () => (await import('./rabbitmq.ts')).rabbitmqInit),
  mongodb: lazyServiceInit('mongodb', async () => (await import('./mongodb.ts')).mongodbInit),
  forgejo: lazyServiceInit('forgejo', async () => (await import('./forgejo.ts')).forgejoInit),
};

/** The engine of that name. Throws `ENGINE_UNKNOWN` naming those that exist. */
export function serviceInitFor(engine: string): ServiceInit {
  const init = Object.hasOwn(serviceInits, engine) ? serviceInits[engine] : undefined;
  if (init === undefined) {
    throw new DevstackError({
      code: ServiceInitErrorCode.engineUnknown,
      message: `No engine is called "${engine}".`,
      hint: `DEVSTACK_ENGINE is one of ${Object.keys(serviceInits).join(', ')}.`,
      details: { engine },
    });
  }
  return init;
}
