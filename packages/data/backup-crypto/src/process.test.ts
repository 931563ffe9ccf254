import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ownIdentity } from '@devstack-core/durable-files';
import { Secret } from '@devstack-core/redaction';
import { describe, expect, it } from 'vitest';
import { runScript, startScript } from '../test/child.ts';
import { temporaryFolder } from '../test/folder.ts';
import { codeOf, noise, pieces } from '../test/streams.ts';
import { decryptToFile, encryptToFile, sweepStaging } from './index.ts';
import { stageFor } from './staging.ts';

const words = 'six words that nobody would guess';
const passphrase = new Secret(words);

describe('a decryption that is killed', () => {
  it('leaves its plain text in a private folder only, which is swept when it is gone and not before', async () => {
    await using folder = await temporaryFolder();
    const [path, target] = [join(folder.path, 'a'), join(folder.path, 'b')];
    await encryptToFile(pieces(noise(8_000_000)), path, { passphrases: [passphrase] });
    const child = startScript('stop-while-staged.ts', [path, target, words]);
    const ended = once(child, 'exit');
    const [said] = (await once(child.stdout, 'data')) as [Buffer];
    expect(said.toString()).toBe('staged\n');
    const [staging = ''] = (await readdir(folder.path)).filter((name) => name.startsWith('.'));
    expect((await stat(join(folder.path, staging))).mode & 0o777).toBe(0o700);
    expect((await stat(join(folder.path, staging, 'content'))).mode & 0o777).toBe(0o600);
    expect((await stat(join(folder.path, staging, 'content'))).size).toBeGreaterThan(0);
    expect(await sweepStaging(folder.path)).toEqual([]);
    child.kill('SIGKILL');
    await ended;
    expect(await sweepStaging(folder.path)).toEqual([join(folder.path, staging)]);
    expect(await readdir(folder.path)).toEqual(['a']);
    await decryptToFile(path, target, { passphrase });
    expect((await readFile(target)).equals(noise(8_000_000))).toBe(true);
  });
});

describe('a staged file', () => {
  it('does not replace what got its name in the meantime', async () => {
    await using folder = await temporaryFolder();
    const target = join(folder.path, 'b');
    {
      await using staging = await stageFor(target);
      await writeFile(staging.path, 'new');
      await writeFile(target, 'in the meantime');
      expect(await codeOf(staging.promote(target))).toBe('BACKUP_FILE_FAILED');
    }
    expect(await readFile(target, 'utf8')).toBe('in the meantime');
    expect(await readdir(folder.path)).toEqual(['b']);
  });
});

describe('sweeping', () => {
  it('takes folders whose process is gone, even where it was killed before it said who it is, and nothing else', async () => {
    await using folder = await temporaryFolder();
    const child = spawn('true');
    const gone = String(child.pid);
    await once(child, 'exit');
    const make = async (name: string, owner?: string): Promise<void> => {
      await mkdir(join(folder.path, name));
      await writeFile(join(folder.path, name, 'content'), 'secret');
      if (owner !== undefined) await writeFile(join(folder.path, name, 'owner'), owner);
    };
    await make(`.backup-staging-${gone}-1`);
    await make(`.backup-staging-${gone}-2`, '{"pid":');
    await make(`.backup-staging-${String(process.pid)}-3`);
    await make(`.backup-staging-${String(process.pid)}-4`, JSON.stringify(ownIdentity()));
    await make(`.backup-staging-${String(process.pid)}-5`, JSON.stringify({ ...ownIdentity(), startTime: '1' }));
    await make('.backup-other');
    await writeFile(join(folder.path, `.backup-staging-${gone}-6`), 'no folder');
    const swept = await sweepStaging(folder.path);
    expect(swept.map((path) => path.slice(-2)).toSorted()).toEqual(['-1', '-2', '-5']);
    expect(await readdir(folder.path)).toHaveLength(4);
  });

  it('of a folder that is not there does nothing, and of a file is an error', async () => {
    await using folder = await temporaryFolder();
    expect(await sweepStaging(join(folder.path, 'none'))).toEqual([]);
    await writeFile(join(folder.path, 'file'), '');
    expect(await codeOf(sweepStaging(join(folder.path, 'file')))).toBe('BACKUP_FILE_FAILED');
  });
});

// A mount namespace of its own: the small file system goes away with the process.
const unshare = process.getuid?.() === 0 ? ['-m'] : ['-Urm'];
const onSmallDisk = (folder: string): string[] => {
  const mount = 'mount -t tmpfs -o size=2m tmpfs "$0" && exec "$@"';
  return ['unshare', ...unshare, 'sh', '-c', mount, folder];
};

describe('a full disk', () => {
  it('is one clear error, after which nothing is left and all works again', async () => {
    await using folder = await temporaryFolder();
    expect(await runScript('fill-disk.ts', [folder.path], onSmallDisk(folder.path))).toEqual({
      ...{ encrypted: 'BACKUP_DISK_FULL', plain: 'BACKUP_DISK_FULL', afterEncryption: [] },
      ...{ decrypted: 'BACKUP_DISK_FULL', changed: 'BACKUP_DISK_FULL', staging: 'BACKUP_DISK_FULL' },
      left: ['again', 'artifact', 'filler'],
    });
  });
});

describe('memory', () => {
  it('stays flat, however large the artifact', async () => {
    await using folder = await temporaryFolder();
    // More than a process with the compiler of the sources in it needs, and less than all of the content.
    const boundMiB = 330;
    const flat = await runScript('flat-memory.ts', [folder.path, 'stream', '400']);
    expect((flat as { readonly rssMiB: number }).rssMiB).toBeLessThan(boundMiB);
    const control = await runScript('flat-memory.ts', [folder.path, 'gather', '400']);
    expect((control as { readonly rssMiB: number }).rssMiB).toBeGreaterThan(boundMiB);
  }, 120_000);
});
