import { Secret } from '@devstack-core/redaction';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  mysqlNativeHash,
  rabbitPasswordHash,
  redisSha256,
  saslprep,
  scramSha256Verifier,
  verifyMysqlNative,
  verifyRabbitPassword,
  verifyRedisSha256,
  verifyScramSha256,
} from '../index.ts';

const password = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 40 }).filter((text) => !text.includes('\0'));

describe('verifiers', () => {
  it('are those of the published examples', async () => {
    // RFC 7677, section 3.
    const salt = Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64');
    expect(await scramSha256Verifier(new Secret('pencil'), { salt, iterations: 4096 })).toBe(
      'SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=',
    );
    // SELECT PASSWORD('password') of MySQL 5 and MariaDB.
    expect(mysqlNativeHash('password')).toBe('*2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19');
    // https://www.rabbitmq.com/docs/passwords
    expect(rabbitPasswordHash('test12', Buffer.from('908DC60A', 'hex'))).toBe(
      'kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR',
    );
    // https://redis.io/docs/latest/commands/acl-setuser/ takes what sha256sum prints.
    expect(redisSha256('hello')).toBe('2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824');
  });

  it('accept the password they were made of and no other', async () => {
    await fc.assert(
      fc.asyncProperty(password, password, async (right, other) => {
        const scram = await scramSha256Verifier(right, { iterations: 1 });
        expect(await verifyScramSha256(right, scram)).toBe(true);
        expect(verifyMysqlNative(right, mysqlNativeHash(right))).toBe(true);
        expect(verifyRabbitPassword(right, rabbitPasswordHash(right))).toBe(true);
        expect(verifyRedisSha256(right, redisSha256(right))).toBe(true);
        if (other.toWellFormed() === right.toWellFormed()) return;
        expect(verifyMysqlNative(other, mysqlNativeHash(right))).toBe(false);
        expect(verifyRabbitPassword(other, rabbitPasswordHash(right))).toBe(false);
        expect(verifyRedisSha256(other, redisSha256(right))).toBe(false);
        // Two spellings of one text are one password to SASLprep.
        const same = (saslprep(other) ?? other) === (saslprep(right) ?? right);
        expect(await verifyScramSha256(other, scram)).toBe(same);
      }),
      { numRuns: 200 },
    );
  });

  it('use a new salt each time', async () => {
    expect(await scramSha256Verifier('x', { iterations: 1 })).not.toBe(
      await scramSha256Verifier('x', { iterations: 1 }),
    );
    expect(rabbitPasswordHash('x')).not.toBe(rabbitPasswordHash('x'));
  });

  it.each(['', 'SCRAM-SHA-256', 'SCRAM-SHA-256$0:AAAA$x:y', 'md5abcdef', '*00', 'not base64!'])(
    'do not take "%s" for one',
    async (text) => {
      expect(await verifyScramSha256('x', text)).toBe(false);
      expect(verifyMysqlNative('x', text)).toBe(false);
      expect(verifyRabbitPassword('x', text)).toBe(false);
      expect(verifyRedisSha256('x', text)).toBe(false);
    },
  );

  it.each([
    ['', 'empty'],
    ['a\0b', 'NUL'],
  ])('refuse a password that no server can hold', async (text, why) => {
    const refusal = { code: 'PASSWORD_UNUSABLE', message: expect.stringContaining(why) as string };
    await expect(scramSha256Verifier(text)).rejects.toMatchObject(refusal);
    for (const make of [mysqlNativeHash, redisSha256, rabbitPasswordHash]) {
      expect(() => make(text)).toThrow(expect.objectContaining(refusal) as Error);
    }
  });
});

describe('saslprep', () => {
  it.each<[string, string | undefined]>([
    // RFC 4013, section 3.
    ['I\u00ADX', 'IX'],
    ['user', 'user'],
    ['USER', 'USER'],
    ['\u00AA', 'a'],
    ['\u2168', 'IX'],
    ['\u0627\u0031', undefined],
    // An ASCII control is refused by the RFC; PostgreSQL takes any ASCII as it is.
    ['\u0007', '\u0007'],
    ['é\u0007', undefined],
    ['x\u00A0y', 'x y'],
    ['\u00AD', undefined],
    ['\u0627\u0628', '\u0627\u0628'],
    ['\u0627a\u0628', undefined],
    ['\u0221', undefined],
    // Refused before the normalization that would replace it.
    ['\u0340é', undefined],
    ['\uD800', undefined],
  ])('makes %j of it: %j', (input, expected) => {
    expect(saslprep(input)).toBe(expected);
  });

  it('changes nothing that it made', () => {
    fc.assert(
      fc.property(password, (text) => {
        const prepared = saslprep(text);
        if (prepared !== undefined && saslprep(prepared) !== undefined) expect(saslprep(prepared)).toBe(prepared);
      }),
    );
  });
});
