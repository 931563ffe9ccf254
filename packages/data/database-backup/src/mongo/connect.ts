import { connectMongo, type MongoConnection } from '@devstack-core/database-connections';
import { isDevstackError } from '@devstack-core/errors';
import { Secret } from '@devstack-core/redaction';
import { DatabaseBackupErrorCode } from '../errors.ts';
import type { EngineIdentity, StoredPart } from '../types.ts';
import { mongoFailure } from './failure.ts';
import type { MongoPlace } from './mongo-place.ts';

/** A place that is logged in to, and what answered. */
export interface MongoEntry extends AsyncDisposable {
  readonly connection: MongoConnection;
  readonly engine: EngineIdentity;
  /** The release of MongoDB that the server says to be like. */
  readonly serverVersion: string;
  /** Whether the server can give a moment that several reads share. */
  readonly hasSnapshots: boolean;
}

/** Logs in. Throws PLACE_UNUSABLE. */
export async function enterMongo(place: MongoPlace, signal?: AbortSignal): Promise<MongoEntry> {
  let connection: MongoConnection;
  try {
    connection = await connectMongo({
      ...place.connect,
      username: place.username,
      password: place.password ?? new Secret(''),
      ...(place.authSource === undefined ? {} : { authSource: place.authSource }),
      database: 'admin',
      connectTimeoutMs: 10_000,
      ...(signal === undefined ? {} : { signal }),
    });
  } catch (error) {
    if (!isDevstackError(error) || error.code === 'INTERRUPTED') throw error;
    throw mongoFailure(DatabaseBackupErrorCode.placeUnusable, error.message, undefined, error);
  }
  try {
    const { version, ferretdbVersion } = await connection.db('admin').command({ buildInfo: 1 });
    const { setName } = await connection.db('admin').command({ hello: 1 });
    const { imageName, imageId } = await place.docker.inspectContainer(place.container);
    const serverVersion = String(version);
    const ferret = typeof ferretdbVersion === 'string' ? ferretdbVersion.replace(/^v/, '') : undefined;
    return {
      connection,
      engine: {
        name: ferret === undefined ? 'mongodb' : 'ferretdb',
        version: ferret ?? serverVersion,
        image: { name: imageName, id: imageId },
      },
      serverVersion,
      hasSnapshots: ferret === undefined && typeof setName === 'string',
      [Symbol.asyncDispose]: () => connection.close(),
    };
  } catch (error) {
    await connection.close();
    throw error;
  }
}

/** Throws ENGINE_MISMATCH where this server is another engine than the part's, or an older release series. */
export function refuseOtherEngine(part: StoredPart, here: EngineIdentity): void {
  const { name, version } = part.engine;
  if (here.name === name && !isOlder(here.version, version)) return;
  throw mongoFailure(
    DatabaseBackupErrorCode.engineMismatch,
    `${part.kind} "${part.name}" was written by ${name} ${version}; this server is ${here.name} ${here.version}.`,
    here.name === name
      ? 'A dump of a newer server may hold what an older one cannot read: bring the server up to date.'
      : 'Restore it into the engine that it came from; what one of them keeps, the other may not know.',
  );
}

// The first two numbers are the release series.
function isOlder(here: string, there: string): boolean {
  const [major = 0, minor = 0] = here.split('.').map(Number);
  const [otherMajor = 0, otherMinor = 0] = there.split('.').map(Number);
  return major < otherMajor || (major === otherMajor && minor < otherMinor);
}
