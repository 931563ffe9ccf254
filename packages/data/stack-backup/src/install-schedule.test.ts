import { chmod, readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { temporaryFolder } from '../test/folder.ts';
import {
  installSchedule,
  removeSchedule,
  scheduleMeans,
  showSchedule,
  type InstallScheduleOptions,
  type ScheduleMeans,
} from './index.ts';

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
const schedule = {
  command: '/home/ada/devstack/devstack',
  directory: '/home/ada/devstack',
  passphraseFile: '/home/ada/.backup-passphrase',
  project: 'devstack',
};
const options = (means: ScheduleMeans): InstallScheduleOptions => ({ schedule, means, home: folder.path });
const file = (name: string): string => join(folder.path, name);

// A crontab is a file in the test's folder; systemctl writes down how it was called.
async function program(name: string, script: string): Promise<void> {
  await writeFile(file(name), `#!/bin/sh\nset -eu\ncd '${folder.path}'\n${script}\n`);
  await chmod(file(name), 0o755);
}

const crontab = `case "$1" in -l) if [ -e table ]; then cat table; else echo 'no crontab for ada' >&2; exit 1; fi;; -) cat > table;; esac`;

beforeEach(async () => {
  folder = await temporaryFolder();
  vi.stubEnv('PATH', `${folder.path}:/usr/bin:/bin`);
  return () => folder[Symbol.asyncDispose]();
});
afterEach(() => {
  vi.unstubAllEnvs();
});

describe('with cron', () => {
  it('is put into a crontab, again without a second copy, and taken away', async () => {
    await program('crontab', crontab);
    await installSchedule(options('cron'));
    expect(await readFile(file('table'), 'utf8')).toBe(showSchedule(options('cron')));
    await writeFile(file('table'), `MAILTO=ada\n\n5 4 * * * true\n${await readFile(file('table'), 'utf8')}`);
    await installSchedule(options('cron'));
    expect((await readFile(file('table'), 'utf8')).split('\n')).toHaveLength(6);
    await removeSchedule(options('cron'));
    expect(await readFile(file('table'), 'utf8')).toBe('MAILTO=ada\n\n5 4 * * * true\n');
  });

  it('leaves a crontab alone that it cannot read', async () => {
    await program('crontab', `case "$1" in -l) echo 'cannot lock the spool' >&2; exit 1;; -) cat > table;; esac`);
    await expect(installSchedule(options('cron'))).rejects.toMatchObject({
      code: 'SCHEDULE_FAILED',
      message: expect.stringContaining('cannot lock the spool') as string,
    });
    expect(await readdir(folder.path)).toEqual(['crontab']);
  });

  it('says that there is no cron', async () => {
    vi.stubEnv('PATH', folder.path);
    await expect(installSchedule(options('cron'))).rejects.toMatchObject({ hint: 'Install cron, or use systemd.' });
    await expect(installSchedule(options('systemd'))).rejects.toMatchObject({ hint: 'Use --with cron.' });
  });

  it('takes no path that would begin a line of its own', async () => {
    await program('crontab', crontab);
    const bad = { ...options('cron'), schedule: { ...schedule, passphraseFile: '/a\n* * * * * rm -rf /' } };
    await expect(installSchedule(bad)).rejects.toMatchObject({ code: 'SCHEDULE_FAILED' });
    expect(await readdir(folder.path)).toEqual(['crontab']);
  });
});

describe('with systemd', () => {
  it('writes units, enables their timers, and takes both away', async () => {
    await program('systemctl', `echo "$*" >> calls`);
    await removeSchedule(options('systemd'));
    await installSchedule(options('systemd'));
    const units = join(folder.path, '.config/systemd/user');
    expect(await readdir(units)).toHaveLength(4);
    expect(showSchedule(options('systemd'))).toContain(`# ${join(units, 'devstack-devstack-verify.timer')}\n[Unit]`);
    await removeSchedule(options('systemd'));
    expect(await readdir(units)).toEqual([]);
    const timers = 'devstack-devstack-backup.timer devstack-devstack-verify.timer';
    expect((await readFile(file('calls'), 'utf8')).trim().split('\n')).toEqual([
      '--user daemon-reload',
      `--user enable --now ${timers}`,
      `--user disable --now ${timers}`,
      '--user daemon-reload',
    ]);
  });

  it('says what systemd said', async () => {
    await program('systemctl', 'echo "Failed to connect to bus" >&2; exit 1');
    await expect(installSchedule(options('systemd'))).rejects.toMatchObject({
      message: expect.stringContaining('Failed to connect to bus') as string,
    });
  });
});

it('uses systemd where it is at work', () => {
  expect(['systemd', 'cron']).toContain(scheduleMeans());
});
