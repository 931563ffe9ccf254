import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

const run = promisify(execFile);
// A mount namespace of its own: the small file system goes away with the process.
const unshare = process.getuid?.() === 0 ? ['-m'] : ['-Urm'];
const mountAndRun = 'mount -t tmpfs -o size=4m tmpfs "$1" && exec "$2" -C @devstack-core/source "$3" "$1" yes';
const limitAndRun = 'ulimit -f 400; exec "$2" -C @devstack-core/source "$3" "$1" no';

const script = fileURLToPath(new URL('../test/fill-disk.ts', import.meta.url));

async function inFolder(command: (folder: string) => readonly [string, readonly string[]]): Promise<unknown> {
  const folder = await mkdtemp(join(tmpdir(), 'devstack-full-'));
  try {
    const { stdout } = await run(...command(folder));
    return JSON.parse(stdout);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

const same = {
  afterCreate: {
    sets: ['complete', 'complete'],
    names: expect.not.arrayContaining([expect.stringMatching('partial')]) as unknown,
  },
  verdicts: ['valid', 'valid'],
  left: ['.store', '.trash'],
  clear: [],
};

it(
  'on a full disk the sets of before stay whole, nothing of the new one is left, and all goes on when there is space',
  { timeout: 120_000 },
  async () => {
    const report = await inFolder((folder) => [
      'unshare',
      [...unshare, 'sh', '-c', mountAndRun, 'sh', folder, process.execPath, script],
    ]);
    expect(report).toMatchObject({
      ...same,
      create: 'BACKUP_DISK_FULL',
      isFull: true,
      rotate: expect.stringMatching(/^(none|DISK_FULL)$/) as string,
      createFull: expect.stringMatching(/^(DISK_FULL|BACKUP_DISK_FULL|BACKUP_NO_SPACE)$/) as string,
      afterFull: expect.arrayContaining(['complete']) as unknown,
    });
  },
);

it('a limit for the size of files is the same', { timeout: 120_000 }, async () => {
  const report = await inFolder((folder) => ['bash', ['-c', limitAndRun, 'sh', folder, process.execPath, script]]);
  expect(report).toMatchObject({
    ...same,
    create: expect.stringMatching(/^BACKUP_(FILE_FAILED|DISK_FULL)$/) as string,
  });
});
