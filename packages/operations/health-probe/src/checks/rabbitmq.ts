import { connectAmqp } from '@devstack-core/database-connections';
import { connectionOptions, usernameOf, type Check } from '../check.ts';

/** RabbitMQ: a message to a temporary exclusive queue comes back. */
export const rabbitmq: Check = {
  describe: (context) => `publish and consume on a temporary queue as ${usernameOf(context, 'unknown')}`,
  run: async (context) => {
    const { database: _unused, ...options } = connectionOptions(context);
    await using connection = await connectAmqp(options);
    const { latencyMs } = await connection.roundTrip(undefined, context.timeoutMs);
    return {
      version: connection.server['version'],
      product: connection.server['product'],
      roundTripMs: Math.round(latencyMs),
    };
  },
};
