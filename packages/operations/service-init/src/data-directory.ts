import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { DevstackError } from '@devstack-core/errors';
import { ServiceInitErrorCode } from './errors.ts';

/** Throws `DATA_UNUSABLE`, with the numbers that explain it, when this process cannot write to the data volume. */
export async function checkDataDirectory(directory: string): Promise<void> {
  const uid = process.getuid?.() ?? -1;
  try {
    await access(directory, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch {
    const owner = await stat(directory).then(
      (found) => `it belongs to uid ${String(found.uid)}, mode ${(found.mode & 0o7777).toString(8)}`,
      () => 'it does not exist',
    );
    throw new DevstackError({
      code: ServiceInitErrorCode.dataUnusable,
      message: `The data volume at ${directory} cannot be written by uid ${String(uid)}: ${owner}.`,
      hint: 'The volume was made by another image. Give it to the service’s user, or start with a new volume.',
      details: { directory, uid },
    });
  }
}
