/** When a backup and its verification run by themselves. */
export interface Schedule {
  /** The command line of this machine, e.g. `/home/ada/devstack/devstack`. */
  readonly command: string;
  /** The checkout: the timer runs there. */
  readonly directory: string;
  /** Where the passphrase is; a file, as nobody is there to ask. */
  readonly passphraseFile: string;
  /** Files with public keys that the backup is encrypted with, too. */
  readonly recipients?: readonly string[];
  /** Distinguishes the timers of several stacks. */
  readonly project: string;
}

/** One job of a schedule. */
export interface ScheduledJob {
  readonly name: 'backup' | 'verify';
  readonly describe: string;
  /** systemd.time(7). */
  readonly onCalendar: string;
  /** crontab(5). */
  readonly cron: string;
  readonly argv: readonly string[];
}

/** Backup every day at 02:00, verification every Sunday at 03:00, in the machine's own time zone. */
export function scheduledJobs(schedule: Schedule): readonly ScheduledJob[] {
  const file = ['--passphrase-file', schedule.passphraseFile];
  const recipients = (schedule.recipients ?? []).flatMap((path) => ['--recipient', path]);
  return [
    {
      name: 'backup',
      describe: 'backup of the stack',
      onCalendar: '*-*-* 02:00:00',
      cron: '0 2 * * *',
      argv: [schedule.command, 'backup', 'create', '--rotate', '--progress', 'plain', ...file, ...recipients],
    },
    {
      name: 'verify',
      describe: 'verification of the latest backup by restoring it',
      onCalendar: 'Sun *-*-* 03:00:00',
      cron: '0 3 * * 0',
      argv: [schedule.command, 'backup', 'verify', '--progress', 'plain', ...file],
    },
  ];
}

/** A file of a schedule: its name in the folder of units, and its text. */
export interface UnitFile {
  readonly name: string;
  readonly text: string;
}

/** The units of systemd (for `~/.config/systemd/user`). A machine that slept at the time does the job when it wakes up. */
export function systemdUnits(schedule: Schedule): readonly UnitFile[] {
  return scheduledJobs(schedule).flatMap((job) => {
    const unit = `devstack-${schedule.project}-${job.name}`;
    return [
      {
        name: `${unit}.service`,
        text: [
          '[Unit]',
          `Description=DevStack ${schedule.project}: ${job.describe}`,
          '',
          '[Service]',
          'Type=oneshot',
          `WorkingDirectory=${unitPath(schedule.directory)}`,
          `ExecStart=${job.argv.map(unitWord).join(' ')}`,
          'UMask=0077',
          '',
        ].join('\n'),
      },
      {
        name: `${unit}.timer`,
        text: [
          '[Unit]',
          `Description=DevStack ${schedule.project}: when the ${job.describe} runs`,
          '',
          '[Timer]',
          `OnCalendar=${job.onCalendar}`,
          'Persistent=true',
          '',
          '[Install]',
          'WantedBy=timers.target',
          '',
        ].join('\n'),
      },
    ];
  });
}

/** The same for a crontab, each line marked so that it can be found again. */
export function cronLines(schedule: Schedule): readonly string[] {
  return scheduledJobs(schedule).map(
    (job) =>
      // cron ends a command at a bare percent sign.
      `${job.cron} ${`cd ${shellWord(schedule.directory)} && ${job.argv.map(shellWord).join(' ')}`.replaceAll('%', '\\%')} ${cronMark(schedule.project)}`,
  );
}

/** Ends every line of a project's schedule. */
export function cronMark(project: string): string {
  return `# devstack ${project}`;
}

/** A crontab with the lines of one project put in, or taken away where there are none. */
export function withCronLines(crontab: string, project: string, lines: readonly string[]): string {
  const there = crontab.replace(/\n+$/, '').split('\n');
  const others = crontab === '' ? [] : there.filter((line) => !line.endsWith(cronMark(project)));
  const all = [...others, ...lines];
  return all.length === 0 ? '' : `${all.join('\n')}\n`;
}

function shellWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

// systemd.service(5): quotes hold a word together, a backslash escapes, % begins a specifier and $ a variable.
function unitWord(word: string): string {
  const escaped = word.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('%', '%%').replaceAll('$', '$$$$');
  return /^[\w@+=:,./-]+$/.test(word) ? word : `"${escaped}"`;
}

function unitPath(path: string): string {
  return path.replaceAll('%', '%%');
}
