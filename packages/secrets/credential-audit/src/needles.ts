import { Secret, encodedForms, minimumScannableLength } from '@devstack-core/redaction';
import { whyNotSearchable, type UnsearchableNeedle } from './searchable.ts';

/** A secret value to look for. */
export interface CredentialNeedle {
  readonly value: Secret;
  /** Where it is kept, e.g. `secret/services/postgres`; never secret. */
  readonly label: string;
  readonly field?: string;
  readonly version?: number;
  /** Whoever logs in with it: its `user:value` of basic authentication is named as such. */
  readonly username?: string;
}

/** One text that a needle may turn up as. */
export interface ExpandedNeedle {
  readonly label: string;
  readonly field: string | undefined;
  readonly version: number | undefined;
  /** `raw`, `json`, `url`, `base64`, `base64url`, `hex`, `shell`, `xml`, `line` (of a value with several) or `basic-auth`. */
  readonly encoding: string;
  readonly text: Secret;
  /** The value itself, for its fingerprint. */
  readonly value: Secret;
}

export interface ExpandedNeedles {
  readonly needles: readonly ExpandedNeedle[];
  /** What would be found everywhere, or is no secret: told, not searched for. */
  readonly unsearchable: readonly UnsearchableNeedle[];
}

/** Every text that the values may turn up as. Values that cannot be searched for are told with the reason. */
export function expandNeedles(needles: readonly CredentialNeedle[]): ExpandedNeedles {
  const expanded: ExpandedNeedle[] = [];
  const unsearchable: UnsearchableNeedle[] = [];
  for (const needle of needles) {
    const reason = whyNotSearchable(needle);
    if (reason === undefined) expanded.push(...formsOf(needle));
    else unsearchable.push({ label: needle.label, field: needle.field, ...reason });
  }
  return { needles: expanded, unsearchable };
}

function formsOf(needle: CredentialNeedle): ExpandedNeedle[] {
  const value = needle.value.reveal();
  const texts: { readonly form: string; readonly text: string }[] = [...encodedForms(value)];
  if (value.includes('\n')) {
    // Log drivers cut a value at its line ends. A line of PEM armour is public.
    const lines = value.split(/\r?\n/).filter((line) => line.length >= 2 * minimumScannableLength);
    texts.push(...lines.filter((line) => !line.startsWith('-----')).map((text) => ({ form: 'line', text })));
  }
  if (needle.username !== undefined)
    texts.push({ form: 'basic-auth', text: Buffer.from(`${needle.username}:${value}`).toString('base64') });
  return texts.map(({ form, text }) => ({
    label: needle.label,
    field: needle.field,
    version: needle.version,
    encoding: form,
    text: new Secret(text),
    value: needle.value,
  }));
}
