import { DevstackError } from '@devstack-core/errors';

/** Codes of the errors that this package throws. */
export const CredentialFilesErrorCode = {
  /** The file's format has no way to write this value, so that its reader would see another one. `details.field` names it. */
  unrepresentable: 'CREDENTIAL_UNREPRESENTABLE',
  /** A credential file could not be written (directory missing, not ours, read-only, full). */
  writeFailed: 'CREDENTIAL_WRITE_FAILED',
} as const;

/** The error for a value that a format cannot hold: names the field and the reason, never the value. */
export function unrepresentable(format: string, field: string, reason: string): DevstackError {
  return new DevstackError({
    code: CredentialFilesErrorCode.unrepresentable,
    message: `The field "${field}" cannot be written to ${format}: ${reason}.`,
    hint: `Choose another value for "${field}".`,
    details: { format, field, reason },
  });
}
