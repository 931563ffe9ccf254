import { createHash, createHmac, pbkdf2, randomBytes } from 'node:crypto';
import { promisify } from 'node:util';
import type { Secret } from '@devstack-core/redaction';
import { sameBytes, usablePassword } from './password.ts';
import { saslprep } from './saslprep.ts';

const derive = promisify(pbkdf2);

/** What makes two verifiers of one password differ. */
export interface ScramOptions {
  /** 16 random bytes unless given. */
  readonly salt?: Uint8Array;
  /** 4096 unless given, as PostgreSQL's `scram_iterations`. */
  readonly iterations?: number;
}

/**
 * `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>` (RFC 5802, RFC 7677), as PostgreSQL stores it in `pg_authid` and takes it in
 * `ALTER ROLE … PASSWORD`: the server can check the password with it, but not log in with it anywhere. Throws `PASSWORD_UNUSABLE`.
 */
export async function scramSha256Verifier(password: Secret | string, options: ScramOptions = {}): Promise<string> {
  const salt = options.salt ?? randomBytes(16);
  const iterations = options.iterations ?? 4096;
  const text = usablePassword(password);
  const salted = await derive(saslprep(text) ?? text.toWellFormed(), salt, iterations, 32, 'sha256');
  const storedKey = createHash('sha256').update(hmac(salted, 'Client Key')).digest('base64');
  const serverKey = hmac(salted, 'Server Key').toString('base64');
  return `SCRAM-SHA-256$${String(iterations)}:${Buffer.from(salt).toString('base64')}$${storedKey}:${serverKey}`;
}

/** Whether the verifier is one of this password; false also for what is no such verifier. */
export async function verifyScramSha256(password: Secret | string, verifier: string): Promise<boolean> {
  const parts = /^SCRAM-SHA-256\$([1-9]\d{0,8}):([A-Za-z0-9+/]+=*)\$[A-Za-z0-9+/=]{44}:[A-Za-z0-9+/=]{44}$/.exec(
    verifier,
  );
  if (parts === null) return false;
  const [, iterations = '', salt = ''] = parts;
  const expected = await scramSha256Verifier(password, {
    salt: Buffer.from(salt, 'base64'),
    iterations: Number(iterations),
  });
  return sameBytes(Buffer.from(expected), Buffer.from(verifier));
}

function hmac(key: Uint8Array, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}
