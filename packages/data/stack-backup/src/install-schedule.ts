import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { run, which } from '@devstack-core/command-runner';
import { removeDurable, writeFileDurable } from '@devstack-core/durable-files';
import { DevstackError } from '@devstack-core/errors';
import { StackBackupErrorCode } from './errors.ts';
import { cronLines, systemdUnits, withCronLines, type Schedule } from './schedule.ts';

/** What runs a schedule. */
export type ScheduleMeans = 'systemd' | 'cron';

/** What to install, where. */
export interface InstallScheduleOptions {
  readonly schedule: Schedule;
  readonly means: ScheduleMeans;
  /** The user's home: units go below it. */
  readonly home: string;
  readonly signal?: AbortSignal | undefined;
}

/** systemd where it is at work on this machine, cron otherwise. */
export function scheduleMeans(): ScheduleMeans {
  return existsSync('/run/systemd/system') ? 'systemd' : 'cron';
}

/** The schedule as it would be installed. */
export function showSchedule({ schedule, means, home }: InstallScheduleOptions): string {
  if (means === 'cron') return `${cronLines(schedule).join('\n')}\n`;
  return systemdUnits(schedule)
    .map(({ name, text }) => `# ${unitPath(home, name)}\n${text}`)
    .join('\n');
}

/** Installs it in the place of an earlier one of the same project. Throws SCHEDULE_FAILED. */
export async function installSchedule(options: InstallScheduleOptions): Promise<void> {
  const { schedule, means, home } = options;
  // A line break would begin a line of its own, in a unit as in a crontab.
  const { command, directory, passphraseFile, project } = schedule;
  const broken = [command, directory, passphraseFile, project].find((value) => /\p{Cc}/u.test(value));
  if (broken !== undefined) throw failed(`${JSON.stringify(broken)} has a control character`, 'Use another path.');
  if (means === 'cron') {
    await changeCrontab(options, cronLines(schedule));
    return;
  }
  await requireProgram('systemctl', means);
  const units = systemdUnits(schedule);
  await mkdir(dirname(unitPath(home, 'unit')), { recursive: true });
  for (const { name, text } of units) await writeFileDurable(unitPath(home, name), text, { mode: 0o644 });
  await call(options, 'systemctl', ['--user', 'daemon-reload']);
  await call(options, 'systemctl', ['--user', 'enable', '--now', ...timersOf(schedule)]);
}

/** Takes it away; one that is not there is fine. Throws SCHEDULE_FAILED. */
export async function removeSchedule(options: InstallScheduleOptions): Promise<void> {
  const { schedule, means, home } = options;
  if (means === 'cron') {
    await changeCrontab(options, []);
    return;
  }
  const there = systemdUnits(schedule).filter(({ name }) => existsSync(unitPath(home, name)));
  if (there.length === 0) return;
  await call(options, 'systemctl', ['--user', 'disable', '--now', ...timersOf(schedule)]);
  for (const { name } of there) await removeDurable(unitPath(home, name));
  await call(options, 'systemctl', ['--user', 'daemon-reload']);
}

function timersOf(schedule: Schedule): readonly string[] {
  return systemdUnits(schedule).flatMap(({ name }) => (name.endsWith('.timer') ? [name] : []));
}

function unitPath(home: string, name: string): string {
  return join(home, '.config/systemd/user', name);
}

// A user without a crontab yet makes it fail with the same code as anything else: what cannot be read must not be written anew.
const noCrontab = /no crontab|no such file/i;

async function changeCrontab(options: InstallScheduleOptions, lines: readonly string[]): Promise<void> {
  const current = await call(options, 'crontab', ['-l'], { fineFailure: noCrontab });
  await call(options, 'crontab', ['-'], { stdin: withCronLines(current, options.schedule.project, lines) });
}

async function call(
  { means, signal }: InstallScheduleOptions,
  program: string,
  args: readonly string[],
  { stdin, fineFailure }: { readonly stdin?: string; readonly fineFailure?: RegExp } = {},
): Promise<string> {
  await requireProgram(program, means);
  const result = await run([program, ...args], {
    check: false,
    // For the user's own manager: where its socket is.
    inheritEnv: ['PATH', 'HOME', 'USER', 'LOGNAME', 'XDG_RUNTIME_DIR', 'DBUS_SESSION_BUS_ADDRESS'],
    ...(stdin === undefined ? {} : { stdin }),
    ...(signal === undefined ? {} : { signal }),
  });
  if (result.exitCode === 0) return result.stdout;
  if (fineFailure?.test(result.stderr) === true) return '';
  throw failed(
    `${result.command} ended with ${String(result.exitCode)}: ${result.stderr.trim()}`,
    'Mend that, then run the same command again.',
  );
}

async function requireProgram(program: string, means: ScheduleMeans): Promise<void> {
  if ((await which(program)) !== undefined) return;
  const hint = means === 'cron' ? 'Install cron, or use systemd.' : 'Use --with cron.';
  throw failed(`${program} is not on this machine`, hint);
}

function failed(why: string, hint: string): DevstackError {
  return new DevstackError({
    code: StackBackupErrorCode.scheduleFailed,
    message: `The schedule could not be changed: ${why}.`,
    hint,
  });
}
