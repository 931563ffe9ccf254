import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { temporaryFolder } from '../test/folder.ts';

const run = promisify(execFile);
// A mount namespace of its own: the small file system goes away with the process.
const unshare = process.getuid?.() === 0 ? ['-m'] : ['-Urm'];
const mountAndRun = 'mount -t tmpfs -o size=12m tmpfs "$1" && exec "$2" -C @devstack-core/source "$3" "$1"';
const script = fileURLToPath(new URL('../test/fill-disk.ts', import.meta.url));

/** What every operation has to leave on a full disk. */
const unharmed = { isFull: true, isHeld: true, areSetsThere: true, inClear: [], unfinished: [] };
const refused = { ...unharmed, code: expect.stringMatching(/DISK_FULL|NO_SPACE|ENOSPC/) as string };

it(
  'on a full disk nothing is changed or lost, every failure is told, and all goes on when there is space',
  { timeout: 120_000 },
  async () => {
    await using folder = await temporaryFolder();
    const command = ['sh', '-c', mountAndRun, 'sh', folder.path, process.execPath, script];
    const { stdout } = await run('unshare', [...unshare, ...command]);
    expect(JSON.parse(stdout)).toEqual({
      create: refused,
      // Reading needs no space; that its result cannot be kept is no verdict.
      verify: { ...unharmed, code: expect.stringMatching(/^(none|DISK_FULL)$/) as string },
      restore: refused,
      recover: refused,
      // It has some set aside for this, or says that it was not enough.
      rotate: { ...unharmed, code: expect.stringMatching(/^(none|DISK_FULL)$/) as string },
      recovered: true,
      restored: true,
      verdicts: ['valid', 'valid', 'valid'],
      inClear: [],
    });
  },
);
