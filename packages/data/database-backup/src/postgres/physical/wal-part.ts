import { setTimeout as delay } from 'node:timers/promises';
import { abortReason } from '@devstack-core/errors';
import type { BackupPart, Fingerprint, SourceOptions } from '../../types.ts';
import { failure, refusal } from '../failure.ts';
import type { ServerFacts } from '../identity.ts';
import type { PostgresPlace } from '../place.ts';
import { openSession } from '../session.ts';
import { hashFiles, listArchive } from './wal-archive.ts';

export const walKind = 'postgresql-wal';

/** Archived segments of the write-ahead log. */
export interface WalPart extends BackupPart {
  /** Removes them from the archive: only when the set that holds them is complete and on the disk. */
  release(): Promise<void>;
}

export function isWalPart(part: BackupPart): part is WalPart {
  return part.kind === walKind && 'release' in part;
}

/** What the archive holds, up to this moment: the segment that is being written is closed first. Throws DUMP_FAILED. */
export async function walPart(
  place: PostgresPlace,
  server: ServerFacts,
  directory: string,
  { signal, now = () => new Date() }: SourceOptions,
): Promise<WalPart> {
  const at = now().toISOString();
  const segmentBytes = await closeSegment(place, signal);
  const names = await listArchive(place, directory);
  return {
    name: 'wal',
    kind: walKind,
    extension: 'tar',
    engine: server.engine,
    consistency: 'exact',
    snapshotAt: at,
    metadata: { segmentBytes, first: names[0] ?? '', last: names.at(-1) ?? '', superuser: server.superuser },
    restoreHint: [
      'mkdir wal && tar -xf FILE -C wal   # for restore_command = \'cp wal/%f "%p"\' after the data directory of the physical backup is in place',
    ],
    fingerprint: async (): Promise<Fingerprint> => hashFiles(place, directory, names),
    content: () => readFiles(place, directory, names, signal),
    release: async () => {
      await place.docker.exec(place.container, ['sh', '-c', 'cd "$1" && xargs -r -0 rm -f --', 'sh', directory], {
        stdin: names.map((name) => `${name}\0`).join(''),
      });
    },
  };
}

async function closeSegment(place: PostgresPlace, signal: AbortSignal | undefined): Promise<number> {
  await using session = await openSession(place, 'postgres', { purpose: 'dump', signal });
  // A transaction with a number ends with a time in the log: a recovery to any moment up to this one finds where to stop.
  await session.query(`SELECT pg_current_xact_id()::text AS id`);
  // A segment with nothing in it is not switched: the restore point is something.
  const [row] = await session.query(
    `SELECT pg_walfile_name(pg_switch_wal()) AS name, pg_size_bytes(current_setting('wal_segment_size')) AS bytes FROM (SELECT pg_create_restore_point('devstack-backup')) p`,
  );
  const name = String(row?.['name']);
  const deadline = performance.now() + 60_000;
  for (;;) {
    const [state] = await session.query(
      `SELECT coalesce(last_archived_wal >= '${name}', false) AS done, coalesce(last_failed_time > coalesce(last_archived_time, '-infinity'), false) AS fails FROM pg_stat_archiver`,
    );
    if (state?.['done'] === true) return Number(row?.['bytes']);
    const aborted = abortReason(signal, 'The backup of the write-ahead log');
    if (aborted !== undefined) throw aborted;
    if (performance.now() >= deadline)
      throw refusal(
        'dump',
        `The server did not archive segment ${name} of its write-ahead log within 60 s${state?.['fails'] === true ? ': its archive command fails' : ''}.`,
        'Look at its log, and at the free space of its volume.',
      );
    await delay(100, undefined, { signal }).catch(() => undefined);
  }
}

async function* readFiles(
  place: PostgresPlace,
  directory: string,
  names: readonly string[],
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void, undefined> {
  const program = await place.docker.execStream(
    place.container,
    [
      'tar',
      '--create',
      '--numeric-owner',
      `--directory=${directory}`,
      '--null',
      '--verbatim-files-from',
      '--files-from=-',
    ],
    { stdin: names.map((name) => `${name}\0`).join(''), ...(signal === undefined ? {} : { signal }) },
  );
  yield* program.stdout;
  const { exitCode, stderr } = await program.ended;
  if (exitCode !== 0) throw failure('dump', 'The backup of the write-ahead log', exitCode, stderr);
}
