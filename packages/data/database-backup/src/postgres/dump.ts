import { execSupervised } from '../supervised-program.ts';
import type { ArchiveHead } from './archive-reader.ts';
import { openArchive, type OpenArchive } from './archive-stream.ts';
import { failure, refusal } from './failure.ts';
import type { SequenceState } from './fingerprint-database.ts';
import { login } from './login.ts';
import type { PostgresPlace } from './place.ts';
import type { PostgresSnapshot } from './snapshot.ts';

export interface PostgresDumpOptions {
  /** The moment to dump; pg_dump's own unless given. */
  readonly snapshot?: Pick<PostgresSnapshot, 'id'>;
  readonly signal?: AbortSignal | undefined;
}

/** `pg_dump --format=custom --compress=0` of one database. Throws DUMP_FAILED whenever what came is not the whole dump. */
export async function* dumpPostgresDatabase(
  place: PostgresPlace,
  database: string,
  options: PostgresDumpOptions = {},
): AsyncGenerator<Uint8Array, void, undefined> {
  await using dump = await openDump(place, database, options);
  yield* dump.bytes();
}

/** A pg_dump that has written its table of contents and waits to be read. */
export async function openDump(
  place: PostgresPlace,
  database: string,
  { snapshot, signal }: PostgresDumpOptions,
): Promise<OpenArchive> {
  await using resources = new AsyncDisposableStack();
  const access = resources.use(await login(place));
  const what = `The dump of database "${database}"`;
  const program = await execSupervised(
    place,
    [
      'pg_dump',
      '--no-password',
      '--format=custom',
      '--compress=0',
      ...(snapshot === undefined ? [] : [`--snapshot=${snapshot.id}`]),
      `--dbname=${access.connection(database)}`,
    ],
    { signal },
  );
  const archive = resources.use(
    await openArchive(
      program.stdout,
      (problem) => refusal('dump', `${what} is not whole: ${problem}.`),
      async () => {
        const { exitCode, stderr } = await program.ended;
        if (exitCode !== 0) throw failure('dump', what, exitCode, stderr);
      },
    ),
  );
  const { serverVersion, dumpVersion } = archive.head;
  if (dumpVersion !== serverVersion)
    throw refusal(
      'dump',
      `${what} was made by pg_dump ${dumpVersion} of a server of version ${serverVersion}.`,
      'Start the container anew: its image was changed while it ran.',
    );
  const owned = resources.move();
  return { head: archive.head, bytes: () => archive.bytes(), [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** The last values of sequences that the dump will restore: no snapshot holds them, so they may have moved on since it was taken. */
export function sequencesIn(head: ArchiveHead): ReadonlyMap<string, SequenceState> {
  return new Map(
    head.entries.flatMap(({ description, definition, schema, tag }) => {
      const [, lastValue, isCalled] = /setval\(.*, (-?\d+), (true|false)\);\s*$/s.exec(definition) ?? [];
      if (description !== 'SEQUENCE SET' || lastValue === undefined || schema === undefined) return [];
      return [[`${schema}\0${tag}`, { lastValue, isCalled: isCalled === 'true' }] as const];
    }),
  );
}
