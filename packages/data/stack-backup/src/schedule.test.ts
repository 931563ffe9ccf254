import { describe, expect, it } from 'vitest';
import { cronLines, scheduledJobs, systemdUnits, withCronLines, type Schedule } from './schedule.ts';

const schedule: Schedule = {
  command: '/home/ada/devstack/devstack',
  directory: '/home/ada/devstack',
  passphraseFile: '/home/ada/.backup-passphrase',
  project: 'devstack',
};

describe('a schedule', () => {
  it('backs up daily at two and verifies on Sundays at three', () => {
    expect(scheduledJobs(schedule).map(({ name, onCalendar, cron }) => [name, onCalendar, cron])).toEqual([
      ['backup', '*-*-* 02:00:00', '0 2 * * *'],
      ['verify', 'Sun *-*-* 03:00:00', '0 3 * * 0'],
    ]);
  });

  it('catches up on a machine that slept, and names its project', () => {
    const units = systemdUnits(schedule);
    expect(units.map(({ name }) => name)).toEqual([
      'devstack-devstack-backup.service',
      'devstack-devstack-backup.timer',
      'devstack-devstack-verify.service',
      'devstack-devstack-verify.timer',
    ]);
    expect(units[1]?.text).toContain('Persistent=true');
    expect(units[0]?.text).toContain(
      'ExecStart=/home/ada/devstack/devstack backup create --rotate --progress plain --passphrase-file /home/ada/.backup-passphrase',
    );
  });

  it('keeps awkward paths together, for systemd and for cron', () => {
    const awkward = { ...schedule, directory: `/home/ada/50% o'clock`, passphraseFile: '/keys/a "$x" %i' };
    expect(systemdUnits(awkward)[0]?.text).toContain(String.raw`--passphrase-file "/keys/a \"$$x\" %%i"`);
    expect(systemdUnits(awkward)[0]?.text).toContain(`WorkingDirectory=/home/ada/50%% o'clock`);
    expect(cronLines(awkward)[0]).toContain(String.raw`cd '/home/ada/50\% o'\''clock'`);
    expect(cronLines(awkward)[0]).toContain(String.raw`'/keys/a "$x" \%i'`);
  });

  it('encrypts for the same people by itself', () => {
    const [backup, verify] = scheduledJobs({ ...schedule, recipients: ['/keys/ada.asc', '/keys/bob.asc'] });
    expect(backup?.argv.slice(-4)).toEqual(['--recipient', '/keys/ada.asc', '--recipient', '/keys/bob.asc']);
    expect(verify?.argv).not.toContain('--recipient');
  });

  it('replaces its own lines of a crontab and leaves the others', () => {
    const others = '# mine\n5 4 * * * true\n';
    const once = withCronLines(others, 'devstack', cronLines(schedule));
    expect(once.split('\n')).toHaveLength(5);
    expect(withCronLines(once, 'devstack', cronLines(schedule))).toBe(once);
    expect(withCronLines(once, 'other', ['x # devstack other'])).toContain('0 2 * * *');
    expect(withCronLines(once, 'devstack', [])).toBe(others);
  });
});
