import { encodedForms } from './encoded-forms.ts';
import { maskPiece } from './mask.ts';
import { NeedleScanner } from './needle-scanner.ts';
import { Secret, isSecret } from './secret.ts';

/** Values shorter than this would match ordinary text: they are reported, not searched for. */
export const minimumScannableLength: number = 8;

/** A text that is searched for. */
export interface Needle {
  /** The name that the secret was added under; never the secret. */
  readonly label: string;
  /** The encoding, as `encodedForms` names it; `line` for one line of a value that has several. */
  readonly form: string;
  readonly text: Secret;
}

/** A secret that was found in a text. */
export interface SecretOccurrence {
  readonly label: string;
  readonly form: string;
  /** In UTF-16 code units. */
  readonly start: number;
  readonly end: number;
}

/** The secrets that a process knows. Masks them, and everything they may be encoded as, in any text. */
export class SecretRegistry {
  readonly #values = new Set<string>();
  readonly #needles = new Map<string, { label: string; form: string }>();
  readonly #unscannable = new Set<string>();
  #scanners: Scanners | undefined;

  /** Adds a value and its encoded forms. The label names it in findings; it must not be secret. */
  add(value: Secret | string, label = 'secret'): void {
    const text: unknown = isSecret(value) ? value.reveal() : value;
    if (typeof text !== 'string' || text === '' || this.#values.has(text)) return;
    this.#values.add(text);
    if (text.length < minimumScannableLength) {
      this.#unscannable.add(label);
      return;
    }
    this.#addForms(text, label);
    this.#scanners = undefined;
  }

  /** The text with every known secret, in any of its encoded forms, replaced by `[secret]`. */
  redact(text: string): string {
    return maskPiece(this.#scanner().text, text, 0, true).text;
  }

  /** Every occurrence of a known secret, at most one per start. Occurrences may overlap. */
  find(text: string): readonly SecretOccurrence[] {
    const { text: scanner, needles } = this.#scanner();
    return scanner
      .find(text)
      .map(({ start, end, needle }) => ({ label: '', form: '', ...needles[needle], start, end }));
  }

  /** Everything that is searched for. */
  needles(): readonly Needle[] {
    return [...this.#needles].map(([text, { label, form }]) => ({ label, form, text: new Secret(text) }));
  }

  /** The labels of the values that are too short to be searched for: a caller must keep these out of its output by other means. */
  unscannable(): readonly string[] {
    return [...this.#unscannable];
  }

  /** The scanner over the UTF-8 bytes of a stream, each byte written as one character. For `redactStream`. */
  byteScanner(): NeedleScanner {
    const scanners = this.#scanner();
    scanners.bytes ??= new NeedleScanner(
      [...this.#needles.keys()].map((text) => Buffer.from(text, 'utf8').toString('latin1')),
    );
    return scanners.bytes;
  }

  #addForms(value: string, label: string): void {
    for (const { form, text } of encodedForms(value)) this.#addNeedle(text, label, form);
    if (!value.includes('\n')) return;
    // Log drivers cut a value at its line ends. A line of PEM armour is public.
    for (const line of value.split(/\r?\n/)) {
      if (line.length >= 2 * minimumScannableLength && !line.startsWith('-----')) this.#addNeedle(line, label, 'line');
    }
  }

  #addNeedle(text: string, label: string, form: string): void {
    if (!this.#needles.has(text)) this.#needles.set(text, { label, form });
  }

  #scanner(): Scanners {
    this.#scanners ??= {
      text: new NeedleScanner([...this.#needles.keys()]),
      needles: [...this.#needles.values()],
      bytes: undefined,
    };
    return this.#scanners;
  }
}

interface Scanners {
  readonly text: NeedleScanner;
  readonly needles: readonly { label: string; form: string }[];
  bytes: NeedleScanner | undefined;
}
