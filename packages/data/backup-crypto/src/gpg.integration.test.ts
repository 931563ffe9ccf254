import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Secret } from '@devstack-core/redaction';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { temporaryFolder } from '../test/folder.ts';
import { startGpg, zstdProgram, type Gpg } from '../test/gpg.ts';
import { codeOf, collect, measureOf, noise, pieces } from '../test/streams.ts';
import { encrypt, encryptToFile, openVerified, reencryptFile, verifyFile } from './index.ts';

const words = 'six words that nobody would guess';
const passphrase = new Secret(words);
const locked = { passphrases: [passphrase] };
const symmetric = ['--symmetric', '--cipher-algo', 'AES256', '--compress-algo', 'none'];
let gpg: Gpg;

beforeAll(async () => {
  gpg = await startGpg();
});
afterAll(async () => {
  await gpg[Symbol.asyncDispose]();
});

describe('gpg and zstd alone', () => {
  it.each([0, 1, 65_535, 65_536, 65_537, 3_000_000, 9_000_001])('open an artifact of %i bytes', async (size) => {
    const content = Buffer.concat([noise(size / 2), Buffer.alloc(Math.ceil(size / 2), 'some text ')]);
    const bytes = await collect(encrypt(pieces(content), locked));
    const opened = await zstdProgram(['-d'], await gpg.run(['--decrypt'], bytes, words));
    expect(opened.equals(content)).toBe(true);
    await expect(gpg.run(['--decrypt'], bytes, 'six words that are not the right ones')).rejects.toThrow(
      /Bad session key|decryption failed/,
    );
  });

  it('see the profile that every version reads', async () => {
    const packets = (
      await gpg.run(['--list-packets'], await collect(encrypt(pieces(noise(9)), locked)), words)
    ).toString();
    expect(packets).toContain(':symkey enc packet: version 4, cipher 9');
    expect(packets).toMatch(/s2k 3, hash 8(, seskey 256 bits)?/);
    expect(packets).toContain('count 65011712 (255)');
    expect(packets).toContain('mdc_method: 2');
    expect(packets).toMatch(/mode b .*created 0, name=""/);
    expect(packets).not.toContain('compressed packet');
  });

  it('refuse what is damaged', async () => {
    const bytes = await collect(encrypt(pieces(noise(100_000)), locked));
    bytes[50_000] = (bytes[50_000] ?? 0) ^ 1;
    await expect(gpg.run(['--decrypt'], bytes, words)).rejects.toThrow('manipulated');
  });

  it.each(['ä'.repeat(30) + 'öüßéè 🐌', 'x1y2 z3'.repeat(36) + 'abc'])('take the passphrase %s', async (text) => {
    const alone = await collect(encrypt(pieces(noise(9)), { passphrases: [new Secret(text)] }));
    expect(await zstdProgram(['-d'], await gpg.run(['--decrypt'], alone, text))).toEqual(noise(9));
    // Of several, gpg 2.2 tries the first one only; this package tries all.
    const first = await collect(encrypt(pieces(noise(9)), { passphrases: [new Secret(text), passphrase] }));
    expect(await zstdProgram(['-d'], await gpg.run(['--decrypt'], first, text))).toEqual(noise(9));
  });

  it('open one after a change of passphrase, and one that is only compressed', async () => {
    await using folder = await temporaryFolder();
    const [path, next, plain] = ['a', 'b', 'c'].map((name) => join(folder.path, name)) as [string, string, string];
    const other = 'seven other words that nobody would guess';
    await encryptToFile(pieces(noise(3_000_000)), path, locked);
    await reencryptFile(path, next, { passphrase, next: { passphrases: [new Secret(other)] } });
    const opened = await zstdProgram(['-d'], await gpg.run(['--decrypt'], await readFile(next), other));
    expect(opened.equals(noise(3_000_000))).toBe(true);
    await encryptToFile(pieces(noise(3_000_000)), plain, { encrypted: false });
    expect((await zstdProgram(['-d'], await readFile(plain))).equals(noise(3_000_000))).toBe(true);
  });

  it('open it with a private key, where its owner is a recipient', async () => {
    const owner = 'owner@example.org';
    await gpg.run(['--passphrase', '', '--quick-generate-key', owner, 'default', 'default'], Buffer.alloc(0));
    const recipient = (await gpg.run(['--armor', '--export', owner], Buffer.alloc(0))).toString();
    const keyed = await collect(encrypt(pieces(noise(5000)), { passphrases: [], recipients: [recipient] }));
    expect(await zstdProgram(['-d'], await gpg.run(['--decrypt'], keyed))).toEqual(noise(5000));
    const both = await collect(encrypt(pieces(noise(5000)), { ...locked, recipients: [recipient] }));
    expect(await zstdProgram(['-d'], await gpg.run(['--decrypt'], both, words))).toEqual(noise(5000));
    const packets = (await gpg.run(['--list-packets'], both, words)).toString();
    expect(packets).toContain(':pubkey enc packet');
    expect(packets).toContain('mdc_method: 2');
    await using folder = await temporaryFolder();
    const path = join(folder.path, 'a');
    await writeFile(path, both);
    expect((await verifyFile(path, { passphrase })).plain).toEqual(measureOf(noise(5000)));
    await writeFile(path, keyed);
    await expect(verifyFile(path, { passphrase })).rejects.toThrow('only a private key does');
    const secretKey = (await gpg.run(['--armor', '--export-secret-keys', owner], Buffer.alloc(0))).toString();
    await expect(collect(encrypt(pieces(noise(9)), { ...locked, recipients: [secretKey] }))).rejects.toMatchObject({
      code: 'BACKUP_RECIPIENT_INVALID',
      message: expect.stringContaining('private key') as string,
    });
  });
});

describe('what gpg and zstd made', () => {
  it.each([
    ['as the recovery card says', symmetric, 3_000_000],
    ['of nothing', symmetric, 0],
    ['with a quicker key', [...symmetric, '--s2k-count', '1024'], 70_000],
    ['with another cipher', ['--symmetric', '--cipher-algo', 'AES128', '--compress-algo', 'none'], 70_000],
    ['with gpg’s own compression', ['--symmetric', '--cipher-algo', 'AES256'], 3_000_000],
  ])('%s is opened', async (_, how, size) => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, 'a');
    const content = noise(size);
    await writeFile(path, await gpg.run(how, await zstdProgram(['-3'], content), words));
    expect((await collect(openVerified(path, { passphrase }))).equals(content)).toBe(true);
    const wrong = new Secret('six words that are the wrong ones');
    expect(await codeOf(verifyFile(path, { passphrase: wrong }))).toBe('BACKUP_WRONG_PASSPHRASE');
    const bytes = await readFile(path);
    await writeFile(path, bytes.subarray(0, -1));
    expect(await codeOf(verifyFile(path, { passphrase }))).toBe('BACKUP_TRUNCATED');
    bytes[bytes.length - 5] = (bytes.at(-5) ?? 0) ^ 1;
    await writeFile(path, bytes);
    expect(await codeOf(verifyFile(path, { passphrase }))).toBe('BACKUP_DAMAGED');
  });
});
