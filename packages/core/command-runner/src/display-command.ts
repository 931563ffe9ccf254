import type { SecretRegistry } from '@devstack-core/redaction';

/** A command line as a person would type it in a POSIX shell, masked. For reading, not for running. */
export function displayCommand(argv: readonly string[], registry?: SecretRegistry): string {
  const text = argv
    .map((word) => (/^[A-Za-z0-9_\-.,:/@%+=]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`))
    .join(' ');
  return registry?.redact(text) ?? text;
}
