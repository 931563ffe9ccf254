import { Secret } from '@devstack-core/redaction';
import { describe, expect, it } from 'vitest';
import { authenticate, deriveManifestKey, isAuthentic, manifestKeyParameters } from './index.ts';

const passphrase = new Secret('six words that nobody would guess');
const salt = Buffer.from('000102030405060708090a0b0c0d0e0f', 'hex');

describe('the key of a manifest', () => {
  it('is scrypt of the passphrase, as Python’s hashlib.scrypt gives it', async () => {
    const key = await deriveManifestKey(passphrase, salt);
    expect(Buffer.from(key.reveal()).toString('hex')).toBe(
      '432cb3fe1f264b1529cb384467228ec7d314f3ff74c4878dd008295ed1c1329c',
    );
    expect(manifestKeyParameters).toEqual({ scheme: 'scrypt+hmac-sha256', n: 32_768, r: 8, p: 1 });
  });

  it('is another one with another passphrase or salt', async () => {
    const keys = await Promise.all([
      deriveManifestKey(passphrase, salt),
      deriveManifestKey(new Secret('another six words that nobody knows'), salt),
      deriveManifestKey(passphrase, Buffer.alloc(16)),
    ]);
    expect(new Set(keys.map((key) => Buffer.from(key.reveal()).toString('hex'))).size).toBe(3);
  });

  it('takes no short salt and no passphrase of two lines', async () => {
    await expect(deriveManifestKey(passphrase, Buffer.alloc(8))).rejects.toThrow(RangeError);
    await expect(deriveManifestKey(new Secret('a\nb'), salt)).rejects.toMatchObject({ code: 'PASSPHRASE_INVALID' });
  });
});

describe('a MAC', () => {
  // RFC 4231, test case 2.
  const key = new Secret<Uint8Array>(Buffer.from('Jefe'));
  const bytes = Buffer.from('what do ya want for nothing?');
  const mac = '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843';

  it('is HMAC-SHA-256', () => {
    expect(authenticate(bytes, key)).toBe(mac);
    expect(isAuthentic(bytes, mac, key)).toBe(true);
    expect(isAuthentic(bytes, mac.toUpperCase(), key)).toBe(true);
  });

  it.each([mac.slice(1), '', `${mac}00`, mac.replace('5b', '5c'), 'é'.repeat(32)])('%j is refused', (wrong) => {
    expect(isAuthentic(bytes, wrong, key)).toBe(false);
  });

  it('of other bytes or another key is refused', () => {
    expect(isAuthentic(Buffer.from('what'), mac, key)).toBe(false);
    expect(isAuthentic(bytes, mac, new Secret<Uint8Array>(Buffer.from('Jeff')))).toBe(false);
  });
});
