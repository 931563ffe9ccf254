import type { Severity } from '@devstack-core/audit-report';

/** A shape of secrets that no store knows of. */
export interface PatternRule {
  readonly ruleId: string;
  readonly severity: Severity;
  readonly title: string;
  readonly message: string;
  readonly remediation: string;
  /** Texts of at least four characters, one of which every match contains: only around these is the expression tried. */
  readonly anchors: readonly string[];
  /** Tried on the neighbourhood of an anchor (one byte is one character); with the flags `g` and whatever it needs. */
  readonly expression: RegExp;
  /**
   * A first look at what follows an anchor, from `from` to `to`: ordinary logs are full of anchors, and bytes are looked at a hundred times
   * faster than an expression is tried.
   */
  readonly mayFollow?: (bytes: Uint8Array, from: number, to: number) => boolean;
  /** A second look at a match, e.g. to leave placeholders out. */
  readonly accepts?: (match: RegExpExecArray) => boolean;
}

const rotate =
  'Keep it in the secret store alone, give it by file or stdin, and rotate it; if it is none, ignore it with a reason.';
const passwordWords = ['password', 'passwd', 'passphrase', 'secret', 'token', 'api_key', 'apikey'];
const cased = passwordWords.flatMap((word) => [word, word.toUpperCase(), word.charAt(0).toUpperCase() + word.slice(1)]);
const defaults =
  'changeme|changeit|change_me|password1?|password123|passw0rd|p@ssw0rd|admin123|postgres|guest|minioadmin|letmein|secret|root|admin|toor|default|devpassword|devstack_dev';

/** The rules that are tried unless others are given. */
export const defaultPatterns: readonly PatternRule[] = [
  {
    ruleId: 'private-key',
    severity: 'low',
    title: 'No private key outside of its file.',
    message: 'A private key in PEM',
    remediation: 'Keep it in a file of mode 0600 and replace the key.',
    anchors: ['PRIVATE KEY-----'],
    expression: /-----BEGIN (?:[A-Z0-9]+ ){0,2}PRIVATE KEY-----(?:\\n|\s)+(?:[A-Za-z0-9+/=:,-]{16,}|Proc-Type)/g,
  },
  {
    ruleId: 'known-token',
    severity: 'low',
    title: 'No token in the open.',
    message: 'A token of a well-known format',
    remediation: rotate,
    // prettier-ignore
    anchors: ['ghp_', 'gho_', 'ghs_', 'ghu_', 'github_pat_', 'glpat-', 'AKIA', 'ASIA', 'xoxb-', 'xoxp-', 'hvs.', 'hvb.', 'npm_', 'sk_live_', 'rk_live_', 'AIza', 'eyJhbGciOi', 'dckr_pat_'],
    expression:
      /(?<![A-Za-z0-9_-])(?:gh[opsu]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{60,}|glpat-[A-Za-z0-9_-]{20}|A[KS]IA[A-Z2-7]{16}|xox[bp]-\d{8,}-[A-Za-z0-9-]{16,}|hv[sb]\.[A-Za-z0-9_-]{24,}|npm_[A-Za-z0-9]{36}|[rs]k_live_[A-Za-z0-9]{24,}|AIza[A-Za-z0-9_-]{35}|dckr_pat_[A-Za-z0-9_-]{27}|eyJhbGciOi[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{20,}\.[A-Za-z0-9_-]{20,})(?![A-Za-z0-9_-])/g,
    mayFollow: (bytes, from, to) => isWithin(bytes, from, Math.min(from + 8, to), isWordByte),
    accepts: (match) => isRandom(match[0]),
  },
  {
    ruleId: 'password-assignment',
    severity: 'low',
    title: 'No password written out.',
    message: 'What looks like a password that is assigned in the open',
    remediation: rotate,
    anchors: cased,
    // `=`, `"`, `\`, or the rest of `secret_key`.
    mayFollow: (bytes, from) => '="\\_kK'.includes(String.fromCharCode(bytes[from] ?? 0)),
    // With `=`, or as a JSON pair; `password: …` in a sentence is none. An environment ends its words with a zero byte.
    expression:
      /(?:password|passwd|passphrase|secret(?:_?key)?|(?:auth_|access_|api_|client_)?token|api_?key)(?:=["']?|\\?"\s*:\s*\\?")([^\s\0"'\\&,;<>(){}[\]|`]{6,200})/gi,
    accepts: (match) => isRandom(match[1] ?? ''),
  },
  {
    ruleId: 'password-argument',
    severity: 'low',
    title: 'No password in a command line.',
    message: 'What looks like a password as an argument',
    remediation: 'Use an option file, a password file or stdin, and rotate it.',
    anchors: ['mysql', 'mariadb', 'sshpass', '--password', '--requirepass', 'redis-cli', 'mongosh'],
    mayFollow: hasOption,
    expression:
      /(?:\b(?:mysql\w*|mariadb(?:-\w+)?|mongosh?|sshpass)\b[^\r\n|;]{0,120}?[\s\0]-p|\b(?:redis-cli|mongosh?)\b[^\r\n|;]{0,120}?[\s\0](?:-a|-p)[\s\0]|(?<=[\s\0"'])--(?:password|requirepass)[=\s\0])["']?([^\s\0"'|;-][^\s\0"'|;]{5,})/g,
    accepts: (match) => isRandom(match[1] ?? ''),
  },
  {
    ruleId: 'default-password',
    severity: 'low',
    title: 'No default password.',
    message: 'A well-known default password',
    remediation: 'Generate a password, keep it in the secret store, and give it by file.',
    anchors: [...cased, 'postgres:postgres@', 'guest:guest@', 'admin:admin@', 'root:root@', 'PASS='],
    mayFollow: (bytes, from) => bytes[from - 1] === 0x40 || bytes[from - 1] === 0x3d || bytes[from] === 0x3d,
    expression: new RegExp(
      `(?:(?:password|passwd|secret|PASS)=["']?(?:${defaults})["']?(?=[\\s\\0,;&]|$)|://(?:postgres:postgres|guest:guest|admin:admin|root:root)@)`,
      'gi',
    ),
  },
  {
    ruleId: 'credential-in-url',
    severity: 'low',
    title: 'No password in a URL.',
    message: 'What looks like a password in a URL',
    remediation: rotate,
    // prettier-ignore
    anchors: ['postgres://', 'postgresql://', 'mysql://', 'mongodb://', 'mongodb+srv://', 'redis://', 'rediss://', 'amqp://', 'amqps://', 'https://', 'http://'],
    mayFollow: hasUserInformation,
    expression: /[a-z+]{4,14}:\/\/[^\s\0:@/"'<>]{0,64}:([^\s\0:@/"'<>]{6,128})@[A-Za-z0-9[]/g,
    accepts: (match) => isRandom(match[1] ?? ''),
  },
];

// Placeholders, masks, paths, references and plain words are no secrets: a value of chance has letters and digits, mixed.
function isRandom(text: string): boolean {
  if (/[*$%{}<>]|\.\.\.|^\/|^\.\/|^[a-z]+:\/\/|x{4,}|[_-]here$/i.test(text)) return false;
  if (
    /hmac-|sha256|sha512|argon2|bcrypt|redacted|masked|hidden|example|placeholder|your[_-]|undefined|null|secret\/|_file$/i.test(
      text,
    )
  )
    return false;
  if (!/\d/.test(text) || !/[A-Za-z]/.test(text)) return false;
  return new Set(text).size >= Math.min(6, text.length - 1);
}

function isWordByte(byte: number): boolean {
  return (
    (byte >= 0x30 && byte <= 0x39) ||
    (byte >= 0x41 && byte <= 0x5a) ||
    (byte >= 0x61 && byte <= 0x7a) ||
    byte === 0x5f ||
    byte === 0x2d
  );
}

function isWithin(bytes: Uint8Array, from: number, to: number, fits: (byte: number) => boolean): boolean {
  for (let at = from; at < to; at += 1) if (!fits(bytes[at] ?? 0)) return false;
  return true;
}

// A `-p` or `-a` in the rest of the line, or the value of the option that the anchor is.
function hasOption(bytes: Uint8Array, from: number, to: number): boolean {
  if (bytes[from] === 0x3d) return true;
  for (let at = from; at < Math.min(to, from + 160); at += 1) {
    const byte = bytes[at] ?? 0;
    if (byte === 0x0a || byte === 0x0d || byte === 0x7c || byte === 0x3b) return false;
    const isOption = byte === 0x2d && (bytes[at - 1] === 0x20 || bytes[at - 1] === 0);
    if (isOption && (bytes[at + 1] === 0x70 || bytes[at + 1] === 0x61)) return true;
    // The anchor itself was an option: its value follows.
    if (at === from && (byte === 0x20 || byte === 0) && isLongOption(bytes, from)) return true;
  }
  return false;
}

function isLongOption(bytes: Uint8Array, end: number): boolean {
  for (let at = end - 1; at >= Math.max(0, end - 16); at -= 1)
    if (bytes[at] === 0x2d && bytes[at - 1] === 0x2d) return true;
  return false;
}

// `user:password@` before the path.
function hasUserInformation(bytes: Uint8Array, from: number, to: number): boolean {
  let hasColon = false;
  for (let at = from; at < Math.min(to, from + 200); at += 1) {
    const byte = bytes[at] ?? 0;
    if (byte === 0x40) return hasColon;
    if (byte === 0x3a) hasColon = true;
    // A blank, a quote, a path, an end.
    if (byte <= 0x20 || byte === 0x22 || byte === 0x27 || byte === 0x2f || byte === 0x3c || byte === 0x3e) return false;
  }
  return false;
}
