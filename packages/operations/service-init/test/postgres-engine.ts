import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto';
import type { Engine, EngineSpec, EngineStack } from './engine-stack.ts';

/** The stack's PostgreSQL, for engines that keep their data in it. */
export const postgresSpec: EngineSpec = {
  service: 'postgres',
  role: 'postgres',
  image: 'devstack/postgres:local',
  uid: 5432,
  host: 11,
  config: 'postgres',
  tmpfs: ['/run/postgresql'],
};

/** Starts PostgreSQL with a database and a user of the same name for another engine. */
export async function startPostgres(stack: EngineStack, username: string, password: string): Promise<Engine> {
  await stack.writeSecret('postgres', {
    username: 'devstack',
    password: randomBytes(16).toString('hex'),
    database: 'devstack',
  });
  await writeClient(stack, username, password);
  return stack.start(postgresSpec);
}

export async function writeClient(stack: EngineStack, username: string, password: string): Promise<void> {
  await stack.writeSecret('postgres/clients', {
    [username]: JSON.stringify({ verifier: scram(password), role: username, grants: 'own-database' }),
  });
}

// RFC 5803, as PostgreSQL stores it.
function scram(password: string): string {
  const salt = randomBytes(16);
  const salted = pbkdf2Sync(password, salt, 4096, 32, 'sha256');
  const hmac = (text: string): Buffer => createHmac('sha256', salted).update(text).digest();
  const stored = createHash('sha256').update(hmac('Client Key')).digest('base64');
  return `SCRAM-SHA-256$4096:${salt.toString('base64')}$${stored}:${hmac('Server Key').toString('base64')}`;
}
