// Runs on a file system of 2 MiB of its own and prints what happened, as JSON.
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Secret } from '@devstack-core/redaction';
import { decryptToFile, encryptToFile, reencryptFile } from '../src/index.ts';
import { codeOf, noise, pieces } from './streams.ts';

const [folder = ''] = process.argv.slice(2);
const passphrase = new Secret('six words that nobody would guess');
const locked = { passphrases: [passphrase] };
const path = join(folder, 'artifact');

const encrypted = await codeOf(encryptToFile(pieces(noise(6_000_000)), path, locked));
const plain = await codeOf(encryptToFile(pieces(noise(6_000_000)), path, { encrypted: false }));
const afterEncryption = await readdir(folder);
await encryptToFile(pieces(Buffer.alloc(20_000_000)), path, locked);
const decrypted = await codeOf(decryptToFile(path, join(folder, 'content'), { passphrase }));
await writeFile(join(folder, 'filler'), noise(3_000_000)).catch(() => undefined);
const changed = await codeOf(reencryptFile(path, join(folder, 'changed'), { passphrase, next: locked }));
const staging = await codeOf(decryptToFile(path, join(folder, 'content'), { passphrase }));
await writeFile(join(folder, 'filler'), '');
await encryptToFile(pieces(noise(1_000_000)), join(folder, 'again'), locked);
const left = (await readdir(folder)).toSorted();
process.stdout.write(`${JSON.stringify({ encrypted, plain, afterEncryption, decrypted, changed, staging, left })}\n`);
