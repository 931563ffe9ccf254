import { DevstackError, isDevstackError } from '@devstack-core/errors';
import { DatabaseBackupErrorCode } from './errors.ts';

/** The words of an error for a message, whatever was thrown. */
export function wordsOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.trim().replace(/\.$/, '');
}

/** DUMP_FAILED with the reason; an error of ours stays what it is. */
export function dumpFailed(what: string, error: unknown): DevstackError {
  if (isDevstackError(error)) return error;
  return new DevstackError({
    code: DatabaseBackupErrorCode.dumpFailed,
    message: `${what}: ${wordsOf(error)}.`,
    hint: 'Nothing of it was kept. Put that right, then run the backup again.',
    cause: error,
  });
}

/** RESTORE_FAILED with the reason; an error of ours stays what it is. */
export function restoreFailed(what: string, error: unknown): DevstackError {
  if (isDevstackError(error)) return error;
  return new DevstackError({
    code: DatabaseBackupErrorCode.restoreFailed,
    message: `${what}: ${wordsOf(error)}.`,
    hint: 'What was restored so far may not be used. Put that right, then run the restore again.',
    cause: error,
  });
}

/** PLACE_UNUSABLE with the reason. */
export function placeUnusable(message: string, hint: string): DevstackError {
  return new DevstackError({ code: DatabaseBackupErrorCode.placeUnusable, message, hint });
}

/** ENGINE_MISMATCH: what was dumped from one engine is not given to another. */
export function engineMismatch(
  part: { readonly name: string; readonly engine: { readonly name: string } },
  engine: string,
): DevstackError {
  return new DevstackError({
    code: DatabaseBackupErrorCode.engineMismatch,
    message: `"${part.name}" was dumped from ${part.engine.name} and cannot be restored into ${engine}.`,
    hint: 'Restore it into the engine that it is of.',
    details: { from: part.engine.name, to: engine },
  });
}

/** The last line of what a program printed. */
export function lastLine(text: string): string {
  return text.trim().split('\n').at(-1) ?? '';
}
