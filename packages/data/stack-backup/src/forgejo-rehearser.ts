import {
  holdSnapshot,
  postgresAdapter,
  volumeAdapter,
  type PostgresPlace,
  type Rehearsal,
  type Rehearser,
  type StoredPart,
  type ThrowawayOptions,
  type VolumePlace,
} from '@devstack-core/database-backup';
import { gitImageOf, inspectGitVolume, type GitVolume } from './git-volume.ts';

const volumeKind = 'volume';
const [globalsKind = '', databaseKind = ''] = postgresAdapter.kinds;

/**
 * Git hosting on trial: its database in a throwaway PostgreSQL, its files in a throwaway volume, and then each with its own checks and both
 * against each other. The files come last, so what they are checked against is there.
 */
export const forgejoRehearser: Rehearser = {
  services: ['forgejo'],
  engines: ['postgresql', 'volume'],
  kinds: [globalsKind, databaseKind, volumeKind],
  async rehearse(options) {
    await using stack = new AsyncDisposableStack();
    const imageOf = (engine: string): ThrowawayOptions => ({ ...options, image: options.images?.[engine] ?? '' });
    const volume = stack.use(await volumeAdapter.throwaway(imageOf('volume')));
    // In a physical set the database is in the cluster, which is tried by itself.
    const hasDatabase = options.images?.['postgresql'] !== undefined;
    const postgres = hasDatabase ? stack.use(await postgresAdapter.throwaway(imageOf('postgresql'))) : undefined;
    let database: string | undefined;
    const owned = stack.move();
    return {
      restore: async (part, content, restore) => {
        if (part.kind === volumeKind) return volumeAdapter.restore(volume, part, content, restore);
        await postgresAdapter.restore(needed(postgres), part, content, restore);
        if (part.kind === databaseKind) database = part.name;
      },
      fingerprint: (part, restore) =>
        part.kind === volumeKind
          ? volumeAdapter.fingerprint(volume, part, restore)
          : postgresAdapter.fingerprint(needed(postgres), part, restore),
      check: async (part, restore = {}) =>
        part.kind === volumeKind
          ? [
              ...(await volumeAdapter.check(volume, part, restore)),
              ...(await problemsOf({ volume, postgres, database, part, labels: options.labels, ...restore })),
            ]
          : postgresAdapter.check(needed(postgres), part, restore),
      [Symbol.asyncDispose]: () => owned[Symbol.asyncDispose](),
    } satisfies Rehearsal;
  },
};

// Whoever rehearses a part names the image of its engine.
function needed(postgres: PostgresPlace | undefined): PostgresPlace {
  if (postgres === undefined) throw new Error('there is no image for its database');
  return postgres;
}

interface Restored {
  readonly volume: VolumePlace;
  readonly postgres: PostgresPlace | undefined;
  /** Undefined where the set has none, or none that could be restored. */
  readonly database: string | undefined;
  readonly part: StoredPart;
  readonly labels: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

async function problemsOf({ volume, postgres, database, part, labels, signal }: Restored): Promise<readonly string[]> {
  const { docker } = volume;
  const image = gitImageOf(part);
  const files = await inspectGitVolume({ docker, volume: volume.volume, image, labels, signal });
  if (part.metadata?.['databaseIn'] !== undefined) return files.problems;
  if (database === undefined || postgres === undefined)
    return [...files.problems, 'There is no database to compare the repositories with.'];
  return [...files.problems, ...(await strangers(postgres, database, files, signal))];
}

// A repository that is on the disk only is what a creation or a removal that was under way leaves: no loss.
async function strangers(
  postgres: PostgresPlace,
  database: string,
  { repositories, largeFiles }: GitVolume,
  signal: AbortSignal | undefined,
): Promise<readonly string[]> {
  await using snapshot = await holdSnapshot(postgres, database, signal === undefined ? {} : { signal });
  const column = async (sql: string): Promise<readonly string[]> =>
    (await snapshot.query(sql)).map((row) => String(row['name']));
  // Status 0 is ready: others are being made or moved, and have no folder yet.
  const wanted = await column(
    `SELECT lower(owner_name || '/' || name) || '.git' AS name FROM public.repository WHERE status = 0`,
  );
  const large = await column('SELECT DISTINCT oid AS name FROM public.lfs_meta_object');
  return [
    ...wanted
      .filter((name) => !repositories.has(name))
      .map((name) => `The repository ${name} is in the database and has no folder.`),
    ...large
      .filter((name) => !largeFiles.has(name))
      .map((name) => `The large file ${name} is in the database and not among the files.`),
  ];
}
