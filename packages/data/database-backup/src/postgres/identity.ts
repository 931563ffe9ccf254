import type { EngineIdentity } from '../types.ts';
import type { PostgresPlace } from './place.ts';
import { openSession, type SessionOptions } from './session.ts';

/** Where a session goes for what concerns the whole server, unless it is about that database itself. */
export const maintenanceDatabase = 'postgres';

/** What the names of our own databases begin with: restores that are under way, or were killed. */
export const temporaryPrefix = 'devstack-backup-';

export interface ServerFacts {
  readonly engine: EngineIdentity;
  /** The first superuser, whatever it is called. */
  readonly superuser: string;
  readonly databases: readonly DatabaseFacts[];
}

export interface DatabaseFacts {
  readonly name: string;
  readonly owner: string;
  readonly encoding: string;
  readonly sizeBytes: number;
}

/** What server it is and which databases a backup of the place is about. Throws PLACE_UNUSABLE. */
export async function describeServer(place: PostgresPlace, options: SessionOptions): Promise<ServerFacts> {
  await using session = await openSession(place, maintenanceDatabase, options);
  const [server] = await session.query(
    `SELECT current_setting('server_version') AS version, pg_get_userbyid(10) AS superuser`,
  );
  const rows = await session.query(
    `SELECT datname AS name, pg_get_userbyid(datdba) AS owner, pg_encoding_to_char(encoding) AS encoding, pg_database_size(oid) AS size FROM pg_database WHERE datallowconn AND datname <> 'template0' AND NOT starts_with(datname, '${temporaryPrefix}') ORDER BY datname`,
  );
  const { imageName, imageId } = await place.docker.inspectContainer(place.container);
  return {
    engine: {
      name: 'postgresql',
      version: String(server?.['version']).split(' ')[0] ?? '',
      image: { name: imageName, id: imageId },
    },
    superuser: String(server?.['superuser']),
    databases: rows
      .map((row) => ({
        name: String(row['name']),
        owner: String(row['owner']),
        encoding: String(row['encoding']),
        sizeBytes: Number(row['size']),
      }))
      .filter(({ name }) => isWanted(place, name)),
  };
}

function isWanted({ databases, excludeDatabases = [] }: PostgresPlace, name: string): boolean {
  return (databases?.includes(name) ?? true) && !excludeDatabases.includes(name);
}
