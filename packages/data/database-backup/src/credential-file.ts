import { randomBytes } from 'node:crypto';
import { DevstackError, isDevstackError } from '@devstack-core/errors';
import type { Secret } from '@devstack-core/redaction';
import { DatabaseBackupErrorCode } from './errors.ts';
import type { Place } from './types.ts';

/** What every file in a scratch folder begins with, so that those of a killed run can be told and swept. */
export const scratchPrefix = 'devstack-backup-';

/** A private file inside a container that is gone at the end of the scope. */
export interface CredentialFile extends AsyncDisposable {
  readonly path: string;
}

/** Puts a secret into a 0600 file in the place's folder in memory, by standard input. Throws PLACE_UNUSABLE. */
export async function putCredentialFile(place: Place, content: Secret): Promise<CredentialFile> {
  const path = `${place.scratch}/${scratchPrefix}${randomBytes(6).toString('hex')}`;
  const { exitCode, stderr } = await place.docker.exec(
    place.container,
    ['sh', '-c', 'umask 077; cat > "$1"', 'sh', path],
    { stdin: content },
  );
  const remove = async (): Promise<void> => {
    try {
      await place.docker.exec(place.container, ['rm', '-f', path]);
    } catch (error) {
      // The folder is in memory: a container that does not run has none, and what ended the run is to be told, not this.
      if (!isDevstackError(error, 'DOCKER_CONFLICT') && !isDevstackError(error, 'CONTAINER_NOT_FOUND')) throw error;
    }
  };
  if (exitCode === 0) return { path, [Symbol.asyncDispose]: remove };
  await remove();
  throw new DevstackError({
    code: DatabaseBackupErrorCode.placeUnusable,
    message: `No credential file could be made in ${place.scratch} of container ${place.container}: ${stderr.trim()}`,
    hint: 'The folder must be a tmpfs that the user of the container may write.',
  });
}

/** Removes what killed runs left. Only for a place that no other run is using. A container that does not run has none. */
export async function sweepCredentialFiles(place: Place): Promise<void> {
  try {
    await sweep(place);
  } catch (error) {
    if (!isDevstackError(error, 'DOCKER_CONFLICT') && !isDevstackError(error, 'CONTAINER_NOT_FOUND')) throw error;
  }
}

async function sweep(place: Place): Promise<void> {
  await place.docker.exec(place.container, ['sh', '-c', `rm -f "$1"/${scratchPrefix}*`, 'sh', place.scratch]);
}
