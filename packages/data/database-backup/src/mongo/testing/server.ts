import { randomBytes } from 'node:crypto';
import { connectMongo, type MongoConnection } from '@devstack-core/database-connections';
import type { DockerEngine } from '@devstack-core/docker-engine';
import { Secret } from '@devstack-core/redaction';
import type { PostgresPlace } from '../../postgres/place.ts';
import type { Throwaway } from '../../types.ts';
import { mongoThrowaway } from '../throwaway.ts';
import type { MongoPlace } from '../mongo-place.ts';

export const image = 'devstack/mongodb:local';
export const labels = { 'io.devstack.test': 'database-backup-mongo' };

/** A FerretDB with the PostgreSQL below it, and a user whose password is a canary. */
export interface TestServer extends Throwaway<MongoPlace> {
  readonly canary: string;
  readonly postgres: PostgresPlace;
}

export async function startServer(docker: DockerEngine): Promise<TestServer> {
  const id = randomBytes(4).toString('hex');
  const own = { ...labels, 'io.devstack.test.id': id };
  const admin = await mongoThrowaway({ docker, image, labels: own });
  try {
    const containers = await docker.listContainers({ labels: own });
    const below = containers.find((container) => container.id !== admin.container);
    if (below === undefined) throw new Error('FerretDB has no PostgreSQL');
    const canary = `canary-${randomBytes(12).toString('hex')}`;
    await using connection = await connect(admin);
    await connection
      .db('admin')
      .command({ createUser: 'keeper', pwd: canary, roles: [], mechanisms: ['SCRAM-SHA-256'] });
    return {
      ...admin,
      username: 'keeper',
      password: new Secret(canary),
      canary,
      postgres: {
        docker,
        container: below.id,
        username: 'postgres',
        password: undefined,
        scratch: '/run/scratch',
        host: '/tmp',
        databases: ['postgres'],
      },
    };
  } catch (error) {
    await admin[Symbol.asyncDispose]();
    throw error;
  }
}

export function connect(place: MongoPlace): Promise<MongoConnection> {
  return connectMongo({ ...place.connect, username: place.username, password: place.password ?? new Secret('') });
}
