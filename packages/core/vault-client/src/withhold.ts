import { encodedForms } from '@devstack-core/redaction';

/**
 * Takes the secrets that were part of a request out of a text that came back, in every encoding. The whole text is given up when it
 * holds a secret too short to be cut out unseen.
 */
export function withholdSecrets(text: string, secrets: readonly string[]): string {
  let safe = text;
  for (const value of [...secrets].sort((a, b) => b.length - a.length)) {
    for (const { text: form } of encodedForms(value)) {
      if (!safe.includes(form)) continue;
      if (value.length < 8) return '[withheld: the answer repeats a secret]';
      safe = safe.replaceAll(form, '[secret]');
    }
  }
  return safe;
}
