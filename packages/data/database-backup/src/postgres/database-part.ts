import type { BackupPart, Fingerprint } from '../types.ts';
import type { OpenArchive } from './archive-stream.ts';
import { openDump, sequencesIn, type PostgresDumpOptions } from './dump.ts';
import { describeServer, type DatabaseFacts, type ServerFacts } from './identity.ts';
import type { PostgresPlace } from './place.ts';
import type { PostgresSnapshot } from './snapshot.ts';

export const databaseKind = 'postgresql-database';

/** A part that holds a pg_dump open between its fingerprint and its content; to be disposed when it is done with. */
export interface PostgresDatabasePart extends BackupPart, AsyncDisposable {}

/** The database of a held snapshot as a part of a set, of kind `postgresql-database`. Throws DUMP_FAILED, PLACE_UNUSABLE. */
export async function postgresDatabasePart(
  place: PostgresPlace,
  snapshot: PostgresSnapshot,
  options: Pick<PostgresDumpOptions, 'signal'> = {},
): Promise<PostgresDatabasePart> {
  const { database } = snapshot;
  const server = await describeServer(
    {
      docker: place.docker,
      container: place.container,
      username: place.username,
      password: place.password,
      scratch: place.scratch,
      ...(place.host === undefined ? {} : { host: place.host }),
      databases: [database],
    },
    { purpose: 'dump', signal: options.signal },
  );
  return databasePart(place, snapshot, server, server.databases[0], options);
}

export async function databasePart(
  place: PostgresPlace,
  snapshot: PostgresSnapshot,
  server: ServerFacts,
  facts: DatabaseFacts | undefined,
  options: Pick<PostgresDumpOptions, 'signal'>,
): Promise<PostgresDatabasePart> {
  const { database } = snapshot;
  const [schema] = await snapshot.query(
    `SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = 'public') AS is_there`,
  );
  let opened: Promise<OpenArchive> | undefined;
  const open = (): Promise<OpenArchive> => (opened ??= openDump(place, database, { snapshot, signal: options.signal }));
  return {
    name: database,
    kind: databaseKind,
    extension: 'dump',
    engine: server.engine,
    consistency: 'exact',
    snapshotAt: snapshot.takenAt,
    metadata: {
      superuser: server.superuser,
      hasPublicSchema: schema?.['is_there'] === true,
      ...(facts === undefined ? {} : { owner: facts.owner, encoding: facts.encoding, sizeBytes: facts.sizeBytes }),
    },
    restoreHint: restoreHint(database),
    // The dump is opened first: only its table of contents knows what it will set sequences to.
    fingerprint: async (): Promise<Fingerprint> => snapshot.fingerprint(sequencesIn((await open()).head)),
    content: async function* () {
      await using dump = await open();
      yield* dump.bytes();
    },
    [Symbol.asyncDispose]: async () => {
      await (await opened?.catch(() => undefined))?.[Symbol.asyncDispose]();
    },
  };
}

function restoreHint(database: string): readonly string[] {
  const restore = 'pg_restore --exit-on-error --no-tablespaces';
  return database === 'postgres' || database === 'template1'
    ? [`${restore} --clean --if-exists --dbname=${database} FILE`]
    : [`${restore} --create --dbname=postgres FILE   # makes database "${database}", which must not be there yet`];
}
