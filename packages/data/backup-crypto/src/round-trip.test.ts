import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Secret } from '@devstack-core/redaction';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../test/folder.ts';
import { codeOf, collect, measureOf, noise, pieces } from '../test/streams.ts';
import {
  decryptToFile,
  encrypt,
  encryptToFile,
  openVerified,
  reencryptFile,
  verifyFile,
  type EncryptToFileOptions,
  type Progress,
} from './index.ts';

const passphrase = new Secret('six words that nobody would guess');
const other = new Secret('seven other words that nobody would guess');
const locked = { passphrases: [passphrase] };

describe('an artifact', () => {
  // Around the sizes of pieces, blocks, frames and the border between the two threads.
  const sizes = [0, 1, 65_535, 65_536, 65_537, 131_072, 524_289, 1_048_575, 1_048_576, 1_048_577, 2_200_000];

  it.each(sizes)('of %i bytes comes back the same, and both sides are measured', async (size) => {
    await using folder = await temporaryFolder();
    const [path, target] = [join(folder.path, 'a.zst.gpg'), join(folder.path, 'a')];
    const content = noise(size);
    const written = await encryptToFile(pieces(content), path, locked);
    expect(written).toEqual({ plain: measureOf(content), cipher: measureOf(await readFile(path)) });
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    const options = { passphrase, expect: written };
    expect(await decryptToFile(path, target, options)).toEqual(written);
    expect(await readFile(target)).toEqual(content);
    expect((await stat(target)).mode & 0o777).toBe(0o600);
    expect(await collect(openVerified(path, options))).toEqual(content);
    expect((await readdir(folder.path)).toSorted()).toEqual(['a', 'a.zst.gpg']);
  });

  it('comes back the same whatever the sizes of its pieces, with and without compression and encryption', async () => {
    await using folder = await temporaryFolder();
    let count = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: 1_500_000 }),
        fc.integer({ min: 1000, max: 1_200_000 }),
        fc.constantFrom('zstd', 'none'),
        fc.boolean(),
        async (size, pieceSize, compress, encrypted) => {
          const path = join(folder.path, String((count += 1)));
          const content = noise(size, size + 1);
          const how: EncryptToFileOptions = encrypted ? { ...locked, compress } : { encrypted: false, compress };
          const measured = await encryptToFile(pieces(content, pieceSize), path, how);
          const read = encrypted ? { passphrase } : ({ encrypted: false } as const);
          if (!encrypted && compress === 'none' && size === 0) return;
          expect(await collect(openVerified(path, { ...read, compress, expect: measured }))).toEqual(content);
        },
      ),
      { numRuns: 15 },
    );
  });

  it('of many frames, in a thread of its own, comes back the same', async () => {
    await using folder = await temporaryFolder();
    const [path, target] = [join(folder.path, 'a.zst.gpg'), join(folder.path, 'a')];
    const content = Buffer.concat([noise(9_000_000), Buffer.alloc(5_000_000, 'text '), noise(3_000_001, 7)]);
    const written = await encryptToFile(pieces(content, 100_000), path, locked);
    expect(written.plain).toEqual(measureOf(content));
    await decryptToFile(path, target, { passphrase, expect: written });
    expect((await readFile(target)).equals(content)).toBe(true);
    // Without a file, and with pieces that are kept.
    await writeFile(join(folder.path, 'b'), await collect(encrypt(pieces(content), locked)));
    expect((await collect(openVerified(join(folder.path, 'b'), { passphrase }))).equals(content)).toBe(true);
    await writeFile(
      join(folder.path, 'c'),
      await collect(encrypt(pieces(content, 77_777), { ...locked, compress: 'none' })),
    );
    const plain = await collect(openVerified(join(folder.path, 'c'), { passphrase, compress: 'none' }));
    expect(plain.equals(content)).toBe(true);
  });

  it('is another one each time', async () => {
    const [one, two] = await Promise.all([
      collect(encrypt(pieces(noise(100)), locked)),
      collect(encrypt(pieces(noise(100)), locked)),
    ]);
    expect(one.equals(two)).toBe(false);
  });

  it('opens with each of its passphrases', async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, 'a');
    await encryptToFile(pieces(noise(1000)), path, { passphrases: [passphrase, other] });
    for (const one of [passphrase, other])
      expect(await collect(openVerified(path, { passphrase: one }))).toEqual(noise(1000));
    const third = new Secret('a third one that was never set');
    expect(await codeOf(verifyFile(path, { passphrase: third }))).toBe('BACKUP_WRONG_PASSPHRASE');
  });

  it('of a small secret has a digest that is no oracle', async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, 'a');
    const key = noise(32);
    const plainKey = new Secret<Uint8Array>(key);
    const written = await encryptToFile(pieces(Buffer.from('PASSWORD=x')), path, { ...locked, plainKey });
    expect(written.plain).toEqual(measureOf(Buffer.from('PASSWORD=x'), key));
    expect(await verifyFile(path, { passphrase, plainKey, expect: written })).toEqual(written);
    expect(await codeOf(verifyFile(path, { passphrase, expect: written }))).toBe('BACKUP_DAMAGED');
  });

  it('tells how far it is', async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, 'a');
    const seen: Progress[] = [];
    const onProgress = (progress: Progress): void => void seen.push(progress);
    const { plain, cipher } = await encryptToFile(pieces(noise(300_000)), path, { ...locked, onProgress });
    expect(seen.at(-1)).toEqual({ plainBytes: plain.bytes, cipherBytes: cipher.bytes });
    await verifyFile(path, { passphrase, onProgress });
    expect(seen.at(-1)).toEqual({ plainBytes: plain.bytes, cipherBytes: cipher.bytes });
  });

  it('never replaces a file', async () => {
    await using folder = await temporaryFolder();
    const [path, target] = [join(folder.path, 'a'), join(folder.path, 'b')];
    await encryptToFile(pieces(noise(10)), path, locked);
    const before = await readFile(path);
    expect(await codeOf(encryptToFile(pieces(noise(20)), path, locked))).toBe('BACKUP_FILE_FAILED');
    expect(await readFile(path)).toEqual(before);
    await writeFile(target, 'kept');
    expect(await codeOf(decryptToFile(path, target, { passphrase }))).toBe('BACKUP_FILE_FAILED');
    expect(await readFile(target, 'utf8')).toBe('kept');
    expect((await readdir(folder.path)).toSorted()).toEqual(['a', 'b']);
  });
});

describe('a change of passphrase', () => {
  it.each([1000, 5_000_000])('gives %i bytes under the new one only', async (size) => {
    await using folder = await temporaryFolder();
    const [path, target] = [join(folder.path, 'a'), join(folder.path, 'b')];
    const written = await encryptToFile(pieces(noise(size)), path, locked);
    const next = await reencryptFile(path, target, { passphrase, next: { passphrases: [other] }, expect: written });
    expect(next).toEqual({ plain: written.plain, cipher: measureOf(await readFile(target)) });
    expect(await collect(openVerified(target, { passphrase: other, expect: next }))).toEqual(noise(size));
    expect(await codeOf(verifyFile(target, { passphrase }))).toBe('BACKUP_WRONG_PASSPHRASE');
    expect(await verifyFile(path, { passphrase, expect: written })).toEqual(written);
  });

  it('of a damaged one gives nothing', async () => {
    await using folder = await temporaryFolder();
    const [path, target] = [join(folder.path, 'a'), join(folder.path, 'b')];
    await encryptToFile(pieces(noise(1000)), path, locked);
    const bytes = await readFile(path);
    bytes[500] = (bytes[500] ?? 0) ^ 1;
    await writeFile(path, bytes);
    const change = reencryptFile(path, target, { passphrase, next: { passphrases: [other] } });
    expect(await codeOf(change)).toBe('BACKUP_DAMAGED');
    expect(await readdir(folder.path)).toEqual(['a']);
  });
});

describe('an encryption', () => {
  it('that nobody could open, or with a weak passphrase, or a bad recipient, is refused before its source is read', async () => {
    await using folder = await temporaryFolder();
    let reads = 0;
    const source = async function* (): AsyncGenerator<Uint8Array> {
      reads += 1;
      yield* pieces(noise(10));
    };
    const path = join(folder.path, 'a');
    expect(await codeOf(encryptToFile(source(), path, { passphrases: [] }))).toBe('PASSPHRASE_INVALID');
    const weak = { passphrases: [new Secret('weak')] };
    expect(await codeOf(encryptToFile(source(), path, weak))).toBe('PASSPHRASE_INVALID');
    const stranger = { ...locked, recipients: ['no key'] };
    expect(await codeOf(encryptToFile(source(), path, stranger))).toBe('BACKUP_RECIPIENT_INVALID');
    expect(await codeOf(collect(encrypt(source(), stranger)))).toBe('BACKUP_RECIPIENT_INVALID');
    expect(reads).toBe(0);
    expect(await readdir(folder.path)).toEqual([]);
  });

  it.each([1, 60])('whose source fails after %i pieces fails with that error and leaves nothing', async (good) => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, 'a');
    const broken = async function* (): AsyncGenerator<Uint8Array> {
      for (let piece = 0; piece < good; piece += 1) yield* pieces(noise(100_000, piece + 1));
      throw new TypeError('pg_dump ended with 1');
    };
    for (const options of [locked, { ...locked, compress: 'none' } as const, { encrypted: false } as const])
      await expect(encryptToFile(broken(), path, options)).rejects.toThrow(new TypeError('pg_dump ended with 1'));
    expect(await readdir(folder.path)).toEqual([]);
  });

  it.each([0, 40])('is interrupted after %i pieces even while its source stalls, and leaves nothing', async (good) => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, 'a');
    const controller = new AbortController();
    const stalled = async function* (): AsyncGenerator<Uint8Array> {
      for (let piece = 0; piece < good; piece += 1) yield* pieces(noise(100_000, piece + 1));
      controller.abort();
      await new Promise(() => undefined);
    };
    expect(await codeOf(encryptToFile(stalled(), path, { ...locked, signal: controller.signal }))).toBe('INTERRUPTED');
    expect(await readdir(folder.path)).toEqual([]);
  });

  it('that nobody reads to its end stops its source', async () => {
    let stopped = 0;
    const endless = async function* (): AsyncGenerator<Uint8Array> {
      try {
        for (let piece = 1; ; piece += 1) yield* pieces(noise(500_000, piece));
      } finally {
        stopped += 1;
      }
    };
    for await (const chunk of encrypt(endless(), locked)) if (chunk.length > 0) break;
    expect(stopped).toBe(1);
  });

  it('cannot be made where no folder is', async () => {
    const path = '/no/such/folder/a';
    expect(await codeOf(encryptToFile(pieces(noise(10)), path, locked))).toBe('BACKUP_FILE_FAILED');
    expect(await codeOf(verifyFile(path, { passphrase }))).toBe('BACKUP_FILE_FAILED');
  });
});

describe('a decryption', () => {
  it('is interrupted and leaves nothing', async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, 'a');
    await encryptToFile(pieces(noise(6_000_000)), path, locked);
    const controller = new AbortController();
    const work = decryptToFile(path, join(folder.path, 'b'), {
      passphrase,
      signal: controller.signal,
      onProgress: () => {
        controller.abort();
      },
    });
    expect(await codeOf(work)).toBe('INTERRUPTED');
    expect(await readdir(folder.path)).toEqual(['a']);
  });
});
