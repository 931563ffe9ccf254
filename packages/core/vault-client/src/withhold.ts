/**
 * Takes the secrets that were part of a request out of a text that came back. Whole texts are given up when they hold a secret too short
 * to be cut out unseen.
 */
export function withholdSecrets(text: string, secrets: readonly string[]): string {
  let safe = text;
  for (const value of [...secrets].sort((a, b) => b.length - a.length)) {
    for (const form of forms(value)) {
      if (form === '' || !safe.includes(form)) continue;
      if (form.length < 8) return '[withheld: the answer repeats a secret]';
      safe = safe.replaceAll(form, '[secret]');
    }
  }
  return safe;
}

/** As Vault may repeat it: raw, inside JSON or a Go `%q`, in a URL, in base64. */
function forms(value: string): ReadonlySet<string> {
  return new Set([
    value,
    JSON.stringify(value).slice(1, -1),
    encodeURIComponent(value),
    Buffer.from(value).toString('base64'),
  ]);
}
