/**
 * What a client that verifies makes of a server. `plaintext`: it speaks, but not TLS. `client-certificate`: it refuses ours, or wants one.
 * `handshake-failed`: no common version or cipher. `closed`: it ended the connection without a word. `refused`: nothing listens, or it says no.
 */
export type TlsVerdictKind =
  | 'ok'
  | 'plaintext'
  | 'untrusted'
  | 'expired'
  | 'not-yet-valid'
  | 'name-mismatch'
  | 'client-certificate'
  | 'handshake-failed'
  | 'closed'
  | 'refused'
  | 'unreachable'
  | 'timeout';

interface Judgement {
  readonly verdict: TlsVerdictKind;
  readonly reason: string;
}

const verdicts: readonly (readonly [TlsVerdictKind, RegExp])[] = [
  ['timeout', /^TIMEOUT$/],
  ['refused', /^ECONNREFUSED$/],
  ['unreachable', /^(ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|ETIMEDOUT|EADDRNOTAVAIL)$/],
  ['closed', /^(ECONNRESET|EPIPE)$/],
  [
    'client-certificate',
    /ALERT_(CERTIFICATE_REQUIRED|BAD_CERTIFICATE|CERTIFICATE_EXPIRED|CERTIFICATE_REVOKED|CERTIFICATE_UNKNOWN|UNSUPPORTED_CERTIFICATE|UNKNOWN_CA)/,
  ],
  [
    'plaintext',
    /WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG|HTTP_REQUEST|BAD_PACKET_LENGTH|UNEXPECTED_MESSAGE|INVALID_ALERT/,
  ],
];

/** A failure before there was a trusted connection. */
export function failureOf(error: unknown): Judgement {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
  return { verdict: verdicts.find(([, pattern]) => pattern.test(code))?.[0] ?? 'handshake-failed', reason: code };
}

/** Why a certificate is not accepted: Node gives a code of OpenSSL, or its own for the name. */
export function trustFailureOf(error: unknown): Judgement {
  const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
  const verdict =
    code === 'CERT_HAS_EXPIRED'
      ? 'expired'
      : code === 'CERT_NOT_YET_VALID'
        ? 'not-yet-valid'
        : code === 'ERR_TLS_CERT_ALTNAME_INVALID'
          ? 'name-mismatch'
          : 'untrusted';
  return { verdict, reason: code };
}
