import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { temporaryFolder } from '../test/folder.ts';

// A mount namespace of its own: the small file system goes away with the process.
const unshare = process.getuid?.() === 0 ? ['-m'] : ['-Urm'];
const mountAndRun = 'mount -t tmpfs -o size=64k tmpfs "$1" && exec "$2" -C @devstack-core/source "$3" "$1"';

it('on a full disk the old file stays whole, nothing is left behind, and a journal goes on when there is space again', async () => {
  await using folder = await temporaryFolder();
  const script = fileURLToPath(new URL('../test/fill-disk.ts', import.meta.url));
  const output = execFileSync('unshare', [
    ...unshare,
    'sh',
    '-c',
    mountAndRun,
    'sh',
    folder.path,
    process.execPath,
    script,
  ]);
  expect(JSON.parse(output.toString())).toEqual({
    writeCode: 'DISK_FULL',
    afterWrite: 'old',
    left: ['journal', 'keys.json'],
    journalCode: 'DISK_FULL',
    steps: ['first', 'third'],
  });
});
