import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { DevstackError } from '@devstack-core/errors';
import { ServiceInitErrorCode } from './errors.ts';
import type { ServiceInitContext } from './service-init.ts';

/** Absolute path of an executable on the container's PATH. Becoming a program that is not there would be a crash without a message. */
export async function findProgram(context: Pick<ServiceInitContext, 'settings'>, name: string): Promise<string> {
  const path = context.settings['PATH'] ?? '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
  for (const directory of path.split(delimiter)) {
    const candidate = join(directory, name);
    try {
      await access(candidate, constants.X_OK);
      return candidate;
    } catch {
      // The next directory may have it.
    }
  }
  throw new DevstackError({
    code: ServiceInitErrorCode.programMissing,
    message: `This image has no program "${name}" on its PATH (${path}).`,
    hint: 'Build the image again; an official image by another name needs its own PATH in the Dockerfile.',
    details: { program: name },
  });
}
