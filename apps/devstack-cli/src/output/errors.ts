import { styleText } from 'node:util';
import { isDevstackError } from '@devstack-core/errors';

/**
 * What went wrong first. With a full disk, say, giving back what was taken fails as well, and the language wraps both: the later
 * error is `error`, the one that counts is `suppressed`.
 */
export function firstError(error: unknown): unknown {
  return error instanceof SuppressedError ? firstError(error.suppressed) : error;
}

/** An error for people (message, then the next step) or for machines (`{"error": {code, message, hint, details}}`). */
export function renderError(error: unknown, options: { readonly json: boolean; readonly color: boolean }): string {
  if (!isDevstackError(error)) return renderUnknown(error, options.json);
  if (options.json) return `${JSON.stringify({ error: error.toJSON() })}\n`;
  const label = options.color ? styleText('red', 'error', { validateStream: false }) : 'error';
  const hint = error.hint === undefined ? '' : `  next: ${error.hint}\n`;
  return `${label} ${error.message} [${error.code}]\n${hint}`;
}

// A bug of ours: the stack is what a report needs.
function renderUnknown(error: unknown, json: boolean): string {
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  if (json)
    return `${JSON.stringify({ error: { code: 'UNEXPECTED', message: error instanceof Error ? error.message : String(error), hint: null, details: {} } })}\n`;
  return `error Something unexpected happened. Please report it with these lines:\n${stack}\n`;
}
