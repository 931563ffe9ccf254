// Encrypts and verifies a large artifact, or gathers as much in memory, and prints the most memory that was resident (MiB), as JSON.
import { join } from 'node:path';
import { Secret } from '@devstack-core/redaction';
import { encryptToFile, verifyFile } from '../src/index.ts';
import { noise } from './streams.ts';

const [folder = '', what = '', megabytes = ''] = process.argv.slice(2);
const passphrase = new Secret('six words that nobody would guess');
const block = noise(1_000_000);

async function* source(): AsyncGenerator<Uint8Array> {
  for (let index = 0; index < Number(megabytes); index += 1) {
    await Promise.resolve();
    block.writeUInt32LE(index, 0);
    yield what === 'gather' ? Buffer.from(block) : block;
  }
}

if (what === 'gather') {
  const gathered: Uint8Array[] = [];
  for await (const piece of source()) gathered.push(piece);
  process.stderr.write(gathered.length === Number(megabytes) ? '' : 'lost pieces\n');
} else {
  const path = join(folder, 'artifact');
  const written = await encryptToFile(source(), path, { passphrases: [passphrase] });
  await verifyFile(path, { passphrase, expect: written });
}
process.stdout.write(`${JSON.stringify({ rssMiB: process.resourceUsage().maxRSS / 1024 })}\n`);
