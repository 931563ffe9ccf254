import { createHash } from 'node:crypto';
import type { Fingerprint } from '../../types.ts';
import { refusal } from '../failure.ts';
import type { PostgresPlace } from '../place.ts';
import { quoteText } from '../quote.ts';
import { openSession } from '../session.ts';
import { isArchivedFile } from './wal-segments.ts';

/** Whether and how well the write-ahead log is archived. */
export interface WalArchiveState {
  /** `unavailable`: the server was started without `archive_mode`. */
  readonly mode: 'on' | 'off' | 'unavailable';
  /** Whether increments can be made (`summarize_wal`). */
  readonly summarizes: boolean;
  readonly failures: number;
  /** UTC; of the last segment, and of the last failure after it. */
  readonly lastArchivedAt: string | undefined;
  readonly failingSince: string | undefined;
  /** What waits in the archive to be taken into a set. */
  readonly files: number;
  readonly bytes: number;
}

/** Where segments wait for the next set, on the volume of the data. */
export const walArchiveDirectory = '/var/lib/devstack/wal-archive';

const off = '/bin/true';

/**
 * Turns archiving on or off, at once and for later starts. From then on each full segment, and what was written when a set is made, is
 * kept until a complete set holds it: without sets the volume fills. Throws PLACE_UNUSABLE.
 */
export async function setWalArchiving(
  place: PostgresPlace,
  isOn: boolean,
  directory: string = walArchiveDirectory,
): Promise<void> {
  if (isOn) {
    const { exitCode, stderr } = await place.docker.exec(place.container, ['mkdir', '-p', '-m', '0700', directory]);
    if (exitCode !== 0) throw refusal('restore', `The folder ${directory} cannot be made: ${stderr.trim()}`);
  }
  await using session = await openSession(place, 'postgres', { purpose: 'restore' });
  await session.run(`ALTER SYSTEM SET archive_command = ${quoteText(isOn ? archiveCommand(directory) : off)}`);
  // The most that a lost machine costs.
  await session.run(`ALTER SYSTEM SET archive_timeout = ${isOn ? "'5min'" : '0'}`);
  await session.run(`SELECT pg_reload_conf()`);
}

// Again for the same file must succeed, for other content never; what has its name is whole and on the disk.
function archiveCommand(directory: string): string {
  const target = `${directory}/%f`;
  return `if [ -e ${target} ]; then cmp -s %p ${target}; else cp %p ${directory}/.%f.partial && sync ${directory}/.%f.partial && mv ${directory}/.%f.partial ${target} && sync ${directory}; fi`;
}

/** What the server says of its archiving. */
export async function walArchiveState(
  place: PostgresPlace,
  directory: string = walArchiveDirectory,
): Promise<WalArchiveState> {
  await using session = await openSession(place, 'postgres', { purpose: 'restore' });
  const utc = (column: string): string => `to_char(${column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')`;
  const [row] = await session.query(
    `SELECT current_setting('archive_mode') AS mode, current_setting('archive_command') AS command, current_setting('summarize_wal') AS summarize, failed_count AS failures, ${utc('last_archived_time')} AS archived, CASE WHEN last_failed_time > coalesce(last_archived_time, '-infinity') THEN ${utc('last_failed_time')} END AS failing FROM pg_stat_archiver`,
  );
  const { stdout } = await place.docker.exec(place.container, [
    'sh',
    '-c',
    'cd "$1" 2>/dev/null && find . -type f -printf "%s\\n"',
    'sh',
    directory,
  ]);
  const sizes = stdout
    .split('\n')
    .filter((line) => line !== '')
    .map(Number);
  const command = String(row?.['command']);
  return {
    mode: row?.['mode'] === 'off' ? 'unavailable' : command === off || command === '' ? 'off' : 'on',
    summarizes: row?.['summarize'] === 'on',
    failures: Number(row?.['failures']),
    lastArchivedAt: textOf(row?.['archived']),
    failingSince: textOf(row?.['failing']),
    files: sizes.length,
    bytes: sizes.reduce((sum, size) => sum + size, 0),
  };
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

/** What is in the archive, in order. */
export async function listArchive(place: PostgresPlace, directory: string): Promise<readonly string[]> {
  const { exitCode, stdout, stderr } = await place.docker.exec(place.container, ['ls', '-1', directory]);
  if (exitCode !== 0) throw refusal('dump', `The archive of the write-ahead log cannot be read: ${stderr.trim()}`);
  return stdout.split('\n').filter(isArchivedFile).sort();
}

/** Each file with its size and SHA-256, by the container's own tools. */
export async function hashFiles(
  place: PostgresPlace,
  directory: string,
  names: readonly string[],
): Promise<Fingerprint> {
  const { exitCode, stdout, stderr } = await place.docker.exec(
    place.container,
    ['sh', '-c', 'cd "$1" && xargs -r -0 sh -c \'stat -c "%s" -- "$@" && sha256sum -- "$@"\' sh', 'sh', directory],
    { stdin: names.map((name) => `${name}\0`).join('') },
  );
  if (exitCode !== 0) throw refusal('dump', `The archive of the write-ahead log cannot be read: ${stderr.trim()}`);
  const lines = stdout.split('\n').filter((line) => line !== '');
  const sums = new Map(
    lines.flatMap((line) => {
      const [, sum, name] = /^([0-9a-f]{64}) [ *](.+)$/.exec(line) ?? [];
      return sum === undefined || name === undefined ? [] : [[name, sum] as const];
    }),
  );
  const sizes = lines.filter((line) => /^\d+$/.test(line)).map(Number);
  return {
    schema: 'devstack/fingerprint/1',
    items: names.map((name, index) => ({
      kind: 'segment',
      name,
      count: sizes[index] ?? -1,
      checksum: sums.get(name) ?? createHash('sha256').digest('hex'),
    })),
  };
}
