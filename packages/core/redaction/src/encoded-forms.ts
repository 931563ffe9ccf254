/** One way in which a value may be written down. */
export interface EncodedForm {
  /** The name of the encoding: `raw`, `json`, `url`, `base64`, … */
  readonly form: string;
  readonly text: string;
}

/**
 * Every text under which a value may turn up in a log, a file or a request: raw, JSON (plain, ASCII-only, Go's, nested),
 * percent-encoded (RFC 3986 and the WHATWG sets, both hex cases, `+` for a space), base64 and base64url at all three alignments
 * (so `user:value` of basic authentication is found, too), hex, shell-quoted, XML. A text that two encodings share is listed once.
 * The forms of base64 leave out the characters that also depend on the neighbours of the value.
 */
export function encodedForms(value: string): readonly EncodedForm[] {
  const seen = new Set<string>();
  const forms: EncodedForm[] = [];
  for (const [form, encode] of encoders) {
    for (const text of encode(value)) {
      if (text === '' || seen.has(text)) continue;
      seen.add(text);
      forms.push({ form, text });
    }
  }
  return forms;
}

type Encoder = (value: string) => readonly string[];

const encoders: readonly (readonly [form: string, encode: Encoder])[] = [
  ['raw', (value) => [value]],
  ['json', jsonForms],
  ['url', percentForms],
  ['base64', (value) => base64Forms(value, 'base64')],
  ['base64url', (value) => base64Forms(value, 'base64url')],
  ['hex', (value) => [hex(value), hex(value).toUpperCase()]],
  ['shell', shellForms],
  ['xml', xmlForms],
];

function jsonForms(value: string): readonly string[] {
  const plain = JSON.stringify(value).slice(1, -1);
  const ascii = escapeUnits(plain, /[\u007f-\uffff]/g);
  const go = escapeUnits(plain, /[<>&\u2028\u2029]/g);
  const nested = JSON.stringify(plain).slice(1, -1);
  return [plain, ascii, go, escapeUnits(ascii, /[<>&]/g), plain.replaceAll('/', '\\/'), nested];
}

function escapeUnits(text: string, which: RegExp): string {
  return text.replace(which, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

// The sets of characters that the encoders in use leave alone, beyond letters, digits and `-._~`.
const leftAlone: readonly string[] = [
  '', // RFC 3986, Python quote(safe='')
  "!'()*", // encodeURIComponent
  '/', // Python quote
  '$&+=:@', // Go PathEscape
  '$&+,;=', // Go user information
  "!'()*;/?:@&=+$,#", // encodeURI
  "!$&'()*+,;=:@", // RFC 3986 path segments
  "!$&'()*+,;=", // RFC 3986 user information
];

function percentForms(value: string): readonly string[] {
  const upper = leftAlone.map((kept) => percentEncode(value, kept));
  // application/x-www-form-urlencoded: as browsers and URLSearchParams write it, and as others do.
  upper.push(
    percentEncode(value, '*').replaceAll('%20', '+').replaceAll('~', '%7E'),
    percentEncode(value, '').replaceAll('%20', '+'),
  );
  return upper.flatMap((text) => [text, text.replace(/%[0-9A-F]{2}/g, (code) => code.toLowerCase())]);
}

function percentEncode(value: string, kept: string): string {
  let text = '';
  for (const byte of Buffer.from(value, 'utf8')) {
    const character = String.fromCharCode(byte);
    text +=
      byte < 0x80 && (/[A-Za-z0-9\-._~]/.test(character) || kept.includes(character))
        ? character
        : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return text;
}

// RFC 4648: four characters carry three bytes, so a value may start at three alignments. The characters at its edges carry
// bits of the neighbours, too, and are left out.
function base64Forms(value: string, alphabet: 'base64' | 'base64url'): readonly string[] {
  const bytes = Buffer.from(value, 'utf8');
  return [0, 1, 2].map((before) => {
    const text = Buffer.concat([Buffer.alloc(before), bytes]).toString(alphabet);
    return text.slice(Math.ceil((before * 8) / 6), Math.floor(((before + bytes.length) * 8) / 6));
  });
}

function hex(value: string): string {
  return Buffer.from(value, 'utf8').toString('hex');
}

function shellForms(value: string): readonly string[] {
  return [
    value.replaceAll("'", `'\\''`),
    value.replaceAll("'", `'"'"'`),
    value.replace(/[\\"$`]/g, '\\$&'),
    value.replace(/[^A-Za-z0-9_\-.,:/@%+=\u0080-\uffff]/g, '\\$&'),
    // bash's printf %q, which leaves `#` and `~` alone inside of a word.
    value.replace(/[^A-Za-z0-9_\-./:@%+=#~\u0080-\uffff]|^[#~]/g, '\\$&'),
    value.replace(/[\\']/g, '\\$&'),
  ];
}

function xmlForms(value: string): readonly string[] {
  const text = value.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
  return [
    text,
    text.replaceAll('"', '&quot;'),
    text.replaceAll('"', '&quot;').replaceAll("'", '&apos;'),
    text.replaceAll('"', '&quot;').replaceAll("'", '&#39;'),
    text.replaceAll('"', '&#34;').replaceAll("'", '&#39;'),
    text.replaceAll('"', '&quot;').replaceAll("'", '&#x27;'),
  ];
}
