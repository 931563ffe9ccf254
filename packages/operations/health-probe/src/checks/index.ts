import type { Check } from '../check.ts';
import type { Protocol } from '../options.ts';
import { forgejo, http } from './http.ts';
import { mongodb } from './mongodb.ts';
import { rabbitmq } from './rabbitmq.ts';
import { redis, redisCluster } from './redis.ts';
import { mysql, pgbouncer, postgresql } from './sql.ts';
import { tcp } from './tcp.ts';
import { vault } from './vault.ts';

/** How each protocol is checked. */
export const checks: Readonly<Record<Protocol, Check>> = {
  vault,
  postgresql,
  pgbouncer,
  redis,
  'redis-cluster': redisCluster,
  mysql,
  mongodb,
  rabbitmq,
  forgejo,
  http,
  tcp,
};
