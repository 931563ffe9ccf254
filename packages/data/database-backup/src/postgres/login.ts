import { renderPgpass } from '@devstack-core/credential-files';
import { DevstackError, isDevstackError } from '@devstack-core/errors';
import { putCredentialFile, type CredentialFile } from '../credential-file.ts';
import { DatabaseBackupErrorCode } from '../errors.ts';
import type { PostgresPlace } from './place.ts';

/** How the programs of one run log in: a private password file, and connection strings that name it. */
export interface Login extends AsyncDisposable {
  /** For `--dbname`: a database's name alone would be taken for a connection string where it holds a `=`. */
  connection(database: string, options?: string): string;
}

/** Puts the password file into the place; it is gone at the end of the scope. Throws PLACE_UNUSABLE. */
export async function login(place: PostgresPlace): Promise<Login> {
  const file = await passwordFile(place);
  return {
    connection: (database, options) =>
      connectionString({
        host: place.host,
        user: place.username,
        dbname: database,
        // Without one libpq would look for the file of the container's user.
        passfile: file?.path ?? '/dev/null',
        client_encoding: 'UTF8',
        connect_timeout: '30',
        application_name: 'devstack-backup',
        options,
      }),
    [Symbol.asyncDispose]: async () => {
      await file?.[Symbol.asyncDispose]();
    },
  };
}

async function passwordFile(place: PostgresPlace): Promise<CredentialFile | undefined> {
  if (place.password === undefined) return undefined;
  try {
    return await putCredentialFile(place, renderPgpass([{ username: place.username, password: place.password }]));
  } catch (error) {
    if (!isDevstackError(error, 'DOCKER_CONFLICT') && !isDevstackError(error, 'CONTAINER_NOT_FOUND')) throw error;
    throw new DevstackError({
      code: DatabaseBackupErrorCode.placeUnusable,
      message: `The container of PostgreSQL, ${place.container}, does not run.`,
      hint: 'Start it: devstack up.',
      cause: error,
    });
  }
}

/** libpq's `key='value'` form. */
export function connectionString(parameters: Readonly<Record<string, string | undefined>>): string {
  return Object.entries(parameters)
    .flatMap(([name, value]) => (value === undefined ? [] : [`${name}='${value.replace(/[\\']/g, '\\$&')}'`]))
    .join(' ');
}
