// Decrypts, and stands still for ever in the middle of it, with plain text in the staging folder.
import { Secret } from '@devstack-core/redaction';
import { writeSync } from 'node:fs';
import { decryptToFile } from '../src/index.ts';

const [path = '', target = '', passphrase = ''] = process.argv.slice(2);
await decryptToFile(path, target, {
  // Made up by the test: no secret.
  passphrase: new Secret(passphrase),
  onProgress: ({ plainBytes }) => {
    if (plainBytes < 3_000_000) return;
    writeSync(1, 'staged\n');
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  },
});
