import { open, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { zstdCompressSync } from 'node:zlib';
import { Secret } from '@devstack-core/redaction';
import * as openpgp from 'openpgp';
import { beforeAll, describe, expect, it } from 'vitest';
import { temporaryFolder } from '../test/folder.ts';
import { codeOf, collect, measureOf, noise, pieces } from '../test/streams.ts';
import {
  decryptToFile,
  encrypt,
  encryptToFile,
  openVerified,
  verifyFile,
  type DecryptOptions,
  type Expected,
} from './index.ts';

const canary = 'canary words that nobody would ever guess';
const passphrase = new Secret(canary);
const content = noise(120_000);
const mdcBytes = 22;
let whole: Buffer;

beforeAll(async () => {
  whole = await artifact(content);
});

/** As `encrypt` makes it, but for a key that is quicker to derive: hundreds are opened here. */
async function artifact(bytes: Uint8Array): Promise<Buffer> {
  const { enums } = openpgp;
  const binary = ReadableStream.from<Uint8Array>(pieces(zstdCompressSync(bytes)));
  const output: unknown = await openpgp.encrypt({
    message: await openpgp.createMessage({ binary }),
    passwords: [canary],
    sessionKey: { data: new Uint8Array(noise(32)), algorithm: 'aes256' },
    format: 'binary',
    config: {
      aeadProtect: false,
      preferredCompressionAlgorithm: enums.compression.uncompressed,
      s2kType: enums.s2k.iterated,
      s2kIterationCountByte: 0,
    },
  });
  return collect(output as ReadableStream<Uint8Array>);
}

/** What every way to read says of these bytes: all must say the same, and give nothing of the content. */
async function verdictOf(bytes: Uint8Array, expected?: Expected, with_: Secret = passphrase): Promise<string> {
  await using folder = await temporaryFolder();
  const path = join(folder.path, 'a');
  await writeFile(path, bytes);
  const options: DecryptOptions = { passphrase: with_, expect: expected };
  let code = 'none';
  try {
    await decryptToFile(path, join(folder.path, 'b'), options);
  } catch (error) {
    code = (error as { readonly code: string }).code;
    expect(inspect(error, { depth: 9, showHidden: true })).not.toContain('canary');
    expect(await readdir(folder.path)).toEqual(['a']);
  }
  return code;
}

const flipped = (at: number, bit: number): Buffer => {
  const bytes = Buffer.from(whole);
  bytes[at] = (bytes[at] ?? 0) ^ (1 << bit);
  return bytes;
};

describe('an artifact as it is made', () => {
  it('is like the ones that are damaged here', async () => {
    const real = await collect(encrypt(pieces(content), { passphrases: [passphrase] }));
    // But for the count of the key's derivation.
    expect(real.subarray(0, 4)).toEqual(whole.subarray(0, 4));
    expect(real[14]).toBe(255);
    expect(Math.abs(real.length - whole.length)).toBeLessThan(100);
    expect(await verdictOf(real)).toBe('none');
    real[60_000] = (real[60_000] ?? 0) ^ 1;
    expect(await verdictOf(real)).toBe('BACKUP_DAMAGED');
    expect(await verdictOf(real.subarray(0, 60_000))).toBe('BACKUP_TRUNCATED');
  });
});

describe('a flipped bit', () => {
  const known = ['DAMAGED', 'WRONG_PASSPHRASE', 'TRUNCATED', 'TRAILING_DATA', 'NOT_OPENPGP'].map((c) => `BACKUP_${c}`);

  it('anywhere in the header is found, with and without expectations', async () => {
    expect(await verdictOf(whole)).toBe('none');
    for (let at = 0; at < 72; at += at > 20 && at < 48 ? 5 : 1) {
      expect(known, `byte ${String(at)}`).toContain(await verdictOf(flipped(at, at % 8)));
      if (at % 6 === 0)
        expect(await verdictOf(flipped(at, at % 8), { cipher: measureOf(whole) })).toBe('BACKUP_DAMAGED');
    }
  }, 120_000);

  it('in the body is found', async () => {
    for (let at = 100; at < whole.length - mdcBytes; at += Math.floor(whole.length / 25))
      expect(known, `byte ${String(at)}`).toContain(await verdictOf(flipped(at, at % 8)));
    expect(await verdictOf(flipped(60_000, 3))).toBe('BACKUP_DAMAGED');
  });

  it('in the modification detection code is found', async () => {
    for (let at = whole.length - mdcBytes; at < whole.length; at += 1)
      expect(await verdictOf(flipped(at, at % 8)), `byte ${String(at)}`).toBe('BACKUP_DAMAGED');
  });
});

describe('a cut', () => {
  it.each([
    ['everything', () => 0],
    ['all but a byte', () => 1],
    ['in the session key', () => 20],
    ['before the encrypted data', () => 57],
    ['a half', (length: number) => Math.floor(length / 2)],
    ['the modification detection code', (length: number) => length - mdcBytes],
    ['the last byte', (length: number) => length - 1],
  ])('of %s is told', async (_, at) => {
    const bytes = whole.subarray(0, at(whole.length));
    expect(await verdictOf(bytes)).toBe('BACKUP_TRUNCATED');
    expect(await verdictOf(bytes, { cipher: measureOf(whole) })).toBe('BACKUP_TRUNCATED');
    expect(await verdictOf(whole)).toBe('none');
  });
});

describe('what follows the message', () => {
  const marker = Buffer.from([0xca, 3, 0x50, 0x47, 0x50]);

  it.each([
    ['one byte', Buffer.from([0])],
    ['zeros', Buffer.alloc(16)],
    ['a packet that every program skips', marker],
    ['a second message', 'whole'],
  ])('%s is told', async (_, added) => {
    const bytes = Buffer.concat([whole, typeof added === 'string' ? whole : added]);
    expect(await verdictOf(bytes)).toBe('BACKUP_TRAILING_DATA');
    expect(await verdictOf(bytes, { cipher: measureOf(whole) })).toBe('BACKUP_TRAILING_DATA');
  });
});

describe('a wrong passphrase', () => {
  it('is told, in words that leave open whether it is damage', async () => {
    const wrong = new Secret('canary words that are the wrong ones');
    expect(await verdictOf(whole, undefined, wrong)).toBe('BACKUP_WRONG_PASSPHRASE');
    await using folder = await temporaryFolder();
    const path = join(folder.path, 'a');
    await writeFile(path, whole);
    const verify = verifyFile(path, { passphrase: wrong });
    await expect(verify).rejects.toThrow('wrong passphrase or damaged');
    const sure = verifyFile(path, { passphrase: wrong, expect: { cipher: measureOf(whole) } });
    await expect(sure).rejects.toThrow('as it was written, so it is the passphrase');
  });

  it('is never taken for damage of a good file, even where it passes the first check (one of 128 does)', async () => {
    for (let index = 0; index < 60; index += 1) {
      const code = await verdictOf(
        whole,
        { cipher: measureOf(whole) },
        new Secret(`wrong passphrase ${String(index)}`),
      );
      expect(code).toBe('BACKUP_WRONG_PASSPHRASE');
    }
  });
});

describe('what is no backup', () => {
  it.each([
    ['text', Buffer.from('-----BEGIN PGP MESSAGE-----\n')],
    ['a dump', Buffer.from('PGDMP')],
    ['zeros', Buffer.alloc(1000)],
    ['a literal packet', Buffer.from([0xcb, 8, 0x62, 0, 0, 0, 0, 0, 0x61, 0x62])],
  ])('%s is refused', async (_, bytes) => {
    expect(await verdictOf(bytes)).toBe('BACKUP_NOT_OPENPGP');
  });

  it('the newer profile, which old programs cannot read, is refused', async () => {
    const message = await openpgp.createMessage({ binary: new Uint8Array(10) });
    const config = { aeadProtect: true };
    const newer: unknown = await openpgp.encrypt({ message, passwords: [canary], format: 'binary', config });
    expect(await verdictOf(newer as Uint8Array)).toBe('BACKUP_NOT_OPENPGP');
  });

  it('a folder is refused', async () => {
    await using folder = await temporaryFolder();
    expect(await codeOf(verifyFile(folder.path, { passphrase }))).toBe('BACKUP_NOT_OPENPGP');
  });
});

describe('another artifact', () => {
  it('that is whole in itself is refused where its digest was written down', async () => {
    const others = await artifact(noise(120_000, 5));
    expect(await verdictOf(others)).toBe('none');
    expect(await verdictOf(others, { plain: measureOf(content) })).toBe('BACKUP_DAMAGED');
    expect(await verdictOf(whole, { plain: measureOf(content), cipher: measureOf(whole) })).toBe('none');
  });

  it('that unpacks to more than was written down is stopped', async () => {
    const bomb = await collect(encrypt(pieces(Buffer.alloc(50_000_000)), { passphrases: [passphrase] }));
    await using folder = await temporaryFolder();
    const path = join(folder.path, 'a');
    await writeFile(path, bomb);
    const seen: number[] = [];
    const work = verifyFile(path, {
      passphrase,
      expect: { plain: measureOf(noise(10)) },
      onProgress: ({ plainBytes }) => void seen.push(plainBytes),
    });
    expect(await codeOf(work)).toBe('BACKUP_DAMAGED');
    expect(Math.max(...seen)).toBeLessThan(2_000_000);
  });

  it('whose content is not compressed is told from a damaged one', async () => {
    const bytes = await collect(encrypt(pieces(content), { passphrases: [passphrase], compress: 'none' }));
    await using folder = await temporaryFolder();
    const path = join(folder.path, 'a');
    await writeFile(path, bytes);
    await expect(verifyFile(path, { passphrase })).rejects.toThrow('does not begin like a zstd stream');
    expect(await verifyFile(path, { passphrase, compress: 'none' })).toMatchObject({ plain: measureOf(content) });
  });
});

describe('a file that changes between the two passes', () => {
  it('gives nothing that was not verified', async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, 'a');
    // More than may be on its way inside of the pipeline.
    const large = noise(24_000_000);
    await encryptToFile(pieces(large), path, { passphrases: [passphrase], compress: 'none' });
    const received: Uint8Array[] = [];
    const work = (async () => {
      for await (const chunk of openVerified(path, { passphrase, compress: 'none' })) {
        if (received.length === 0) {
          // In place, as a disk does it.
          await using file = await open(path, 'r+');
          await file.write(Buffer.alloc(100), 0, 100, 8_000_000);
        }
        received.push(Buffer.from(chunk));
      }
    })();
    await expect(work).rejects.toMatchObject({ code: 'BACKUP_DAMAGED' });
    const given = Buffer.concat(received);
    expect(given.length).toBeGreaterThan(0);
    expect(given.equals(large.subarray(0, given.length))).toBe(true);
  });
});

describe('an artifact that is only compressed', () => {
  const verdict = async (bytes: Uint8Array, expected?: Expected): Promise<string> => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, 'a.zst');
    await writeFile(path, bytes);
    const code = await codeOf(decryptToFile(path, join(folder.path, 'b'), { encrypted: false, expect: expected }));
    if (code !== 'none') expect(await readdir(folder.path)).toEqual(['a.zst']);
    return code;
  };

  it('shows cuts, flips and what follows', async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, 'a.zst');
    const large = noise(3_000_000);
    const measured = await encryptToFile(pieces(large), path, { encrypted: false });
    expect(measured.plain).toEqual(measureOf(large));
    const bytes = await readFile(path);
    expect(await verdict(bytes, measured)).toBe('none');
    for (const length of [1, 3, 10, bytes.length / 2, 1_048_576, bytes.length - 1])
      expect(await verdict(bytes.subarray(0, length))).toBe('BACKUP_TRUNCATED');
    expect(await verdict(bytes.subarray(0, 0))).toBe('BACKUP_TRUNCATED');
    expect(await verdict(Buffer.concat([bytes, Buffer.alloc(16)]))).toBe('BACKUP_TRAILING_DATA');
    expect(await verdict(Buffer.concat([bytes, bytes]), measured)).toBe('BACKUP_TRAILING_DATA');
    expect(await verdict(Buffer.from('no zstd at all'))).toBe('BACKUP_NOT_OPENPGP');
    bytes[1_000_000] = (bytes[1_000_000] ?? 0) ^ 4;
    expect(await verdict(bytes)).toBe('BACKUP_DAMAGED');
    expect(await verdict(bytes, measured)).toBe('BACKUP_DAMAGED');
  });

  it('of several frames loses none of them', async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, 'a.zst');
    const skippable = Buffer.from('502a4d1804000000deadbeef', 'hex');
    const frames = [zstdCompressSync('one'), skippable, zstdCompressSync(''), zstdCompressSync(noise(300_000))];
    await writeFile(path, Buffer.concat(frames));
    const read = await collect(openVerified(path, { encrypted: false }));
    expect(read.equals(Buffer.concat([Buffer.from('one'), noise(300_000)]))).toBe(true);
  });
});
