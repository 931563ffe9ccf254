import { readFileSync } from 'node:fs';
import { DevstackError } from '@devstack-core/errors';
import { ReferenceApiErrorCode } from '../errors.ts';

/**
 * The roots that certificates are verified against, as PEM. Read anew each time, as they change when roots are exchanged: a connection that is
 * made later trusts the new ones. A few kilobytes, so it is not worth waiting for. Throws `ROOTS_UNREADABLE`.
 */
export function readRoots(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new DevstackError({
      code: ReferenceApiErrorCode.rootsUnreadable,
      message: `The roots to trust cannot be read from ${path}.`,
      hint: 'Run "devstack up": it delivers them beside the login of this service.',
      cause: error,
      details: { path },
    });
  }
}

/** The `tls` option of a connection: none, or verified against the roots of this moment. */
export function trust(usesTls: boolean, rootsFile: string): { readonly ca: string } | false {
  return usesTls ? { ca: readRoots(rootsFile) } : false;
}
