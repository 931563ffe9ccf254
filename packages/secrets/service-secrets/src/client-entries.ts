import type { Secret } from '@devstack-core/redaction';
import type { Engine } from './definitions.ts';
import type { ClientEntry } from './read.ts';
import { mysqlNativeHash, verifyMysqlNative } from './verifiers/mysql.ts';
import { rabbitPasswordHash, verifyRabbitPassword } from './verifiers/rabbitmq.ts';
import { redisSha256, verifyRedisSha256 } from './verifiers/redis.ts';
import { scramSha256Verifier, verifyScramSha256 } from './verifiers/scram.ts';
import { sameBytes } from './verifiers/password.ts';

interface Kind {
  readonly of: (password: Secret) => string | Promise<string>;
  readonly matches: (password: Secret, verifier: string) => boolean | Promise<boolean>;
}

const kinds: Readonly<Record<Exclude<Engine, 'mongodb'>, Kind>> = {
  postgresql: { of: (password) => scramSha256Verifier(password), matches: verifyScramSha256 },
  mysql: { of: mysqlNativeHash, matches: verifyMysqlNative },
  redis: { of: redisSha256, matches: verifyRedisSha256 },
  rabbitmq: { of: (password) => rabbitPasswordHash(password), matches: verifyRabbitPassword },
};

/** What the server keeps for one client: a verifier, or the password where the engine takes none. JSON, as Vault stores it. */
export async function clientEntry(
  engine: Engine,
  password: Secret,
  about: Pick<ClientEntry, 'role' | 'grants'>,
): Promise<string> {
  const held = engine === 'mongodb' ? { password: password.reveal() } : { verifier: await kinds[engine].of(password) };
  return JSON.stringify({ ...held, role: about.role, grants: about.grants });
}

/** Whether an entry is still right for this password, role and grants. False for what cannot be read. */
export async function clientEntryMatches(
  engine: Engine,
  password: Secret,
  about: Pick<ClientEntry, 'role' | 'grants'>,
  entry: string,
): Promise<boolean> {
  let value: unknown;
  try {
    value = JSON.parse(entry);
  } catch {
    return false;
  }
  if (typeof value !== 'object' || value === null) return false;
  const { verifier, password: held, role, grants } = value as Record<string, unknown>;
  if (role !== about.role || grants !== about.grants) return false;
  if (engine === 'mongodb') {
    return typeof held === 'string' && sameBytes(Buffer.from(held), Buffer.from(password.reveal()));
  }
  return held === undefined && typeof verifier === 'string' && kinds[engine].matches(password, verifier);
}
