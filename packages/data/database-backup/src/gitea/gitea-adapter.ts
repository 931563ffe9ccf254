import { randomBytes } from 'node:crypto';
import { dumpFailed, engineMismatch, placeUnusable, restoreFailed } from '../engine-failure.ts';
import { postgresAdapter } from '../postgres/adapter.ts';
import { databaseKind, postgresDatabasePart } from '../postgres/database-part.ts';
import { maintenanceDatabase } from '../postgres/identity.ts';
import { quoteName, quoteText } from '../postgres/quote.ts';
import { runOnce } from '../postgres/session.ts';
import { holdSnapshot, type PostgresSnapshot } from '../postgres/snapshot.ts';
import { sweepThrowaways, throwawayLabels } from '../throwaway.ts';
import type {
  BackupPart,
  EngineAdapter,
  EngineIdentity,
  RestoreOptions,
  SourceOptions,
  StoredPart,
  Throwaway,
  ThrowawayOptions,
} from '../types.ts';
import { mountPoint, packFolder } from '../volume/volume-tar.ts';
import { consistencyProblems } from './gitea-check.ts';
import { fileProblems, fingerprintFiles } from './gitea-fingerprint.ts';
import type { GiteaPlace } from './gitea-place.ts';
import { leftOut, linkVolume, openGiteaVolume, replaceVolume, runScript, sweepVolume } from './gitea-volume.ts';

const databasePartKind = 'gitea-database';
const filesKind = 'gitea-files';

export interface GiteaAdapterOptions {
  /** For throwaway places, whose PostgreSQL is another image than the server's. */
  readonly postgresImage: string;
}

/**
 * Gitea and Forgejo: repositories, large files and attachments of one moment with the database of the same moment. The server is paused for
 * as long as it takes to export a snapshot and to link the volume's files, and goes on while both are read. A restore needs the server
 * stopped; files that are there are kept aside in the volume.
 */
export function createGiteaAdapter({ postgresImage }: GiteaAdapterOptions): EngineAdapter<GiteaPlace> {
  return {
    engines: ['gitea', 'forgejo'],
    kinds: [filesKind, databasePartKind],
    open,
    restore,
    fingerprint,
    check,
    throwaway: (options) => throwaway(options, postgresImage),
  };
}

/** The adapter for the stack's own images. */
export const giteaAdapter: EngineAdapter<GiteaPlace> = createGiteaAdapter({ postgresImage: 'devstack/postgres:local' });

async function* open(place: GiteaPlace, options: SourceOptions = {}): AsyncGenerator<BackupPart, void, undefined> {
  const { signal } = options;
  const { docker } = place;
  // A server that a killed run left paused goes on.
  await sweepThrowaways(docker, place.labels);
  const running = await runningContainer(place);
  await using helper = await openGiteaVolume(place, { pauses: running, signal });
  await sweepVolume(place, helper.id);
  const engine = await identityOf(place, helper.id);
  let moment: Moment;
  try {
    moment = await takeMoment(place, helper.id, running, signal);
  } catch (error) {
    throw dumpFailed(`${engine.name} could not be backed up`, error);
  }
  await using _moment = moment;
  const metadata = { pausedMs: Math.round(moment.pausedMs) };
  const snapshotAt = moment.snapshot.takenAt;
  yield filesPart({ place, engine, helper: helper.id, folder: moment.folder, snapshotAt, metadata, signal });
  const roles = await moment.snapshot.query(
    `SELECT rolname AS name FROM pg_roles WHERE NOT starts_with(rolname, 'pg_')`,
  );
  await using part = await postgresDatabasePart(place.postgres, moment.snapshot, { signal });
  yield {
    ...part,
    name: 'database',
    kind: databasePartKind,
    engine,
    metadata: {
      ...part.metadata,
      ...metadata,
      database: part.name,
      roles: roles.map((row) => String(row['name'])),
      postgresVersion: part.engine.version,
      postgresImage: part.engine.image.name,
    },
  };
}

interface Moment extends AsyncDisposable {
  readonly folder: string;
  readonly snapshot: PostgresSnapshot;
  readonly pausedMs: number;
}

// Files and database at once; whatever happens, the server goes on.
async function takeMoment(
  place: GiteaPlace,
  helper: string,
  running: string | undefined,
  signal: AbortSignal | undefined,
): Promise<Moment> {
  const { docker } = place;
  const start = performance.now();
  if (running !== undefined) await docker.pauseContainer(running);
  let results: [PromiseSettledResult<PostgresSnapshot>, PromiseSettledResult<string>];
  try {
    results = await Promise.allSettled([
      holdSnapshot(place.postgres, place.database, signal === undefined ? {} : { signal }),
      linkVolume(place, helper),
    ]);
  } finally {
    if (running !== undefined) await docker.unpauseContainer(running);
  }
  const pausedMs = running === undefined ? 0 : performance.now() - start;
  const [snapshot, folder] = results;
  const release = async (): Promise<void> => {
    if (snapshot.status === 'fulfilled') await snapshot.value[Symbol.asyncDispose]();
    await sweepVolume(place, helper);
  };
  if (snapshot.status === 'fulfilled' && folder.status === 'fulfilled')
    return { snapshot: snapshot.value, folder: folder.value, pausedMs, [Symbol.asyncDispose]: release };
  await release();
  throw snapshot.status === 'rejected' ? snapshot.reason : folder.status === 'rejected' ? folder.reason : undefined;
}

interface FilesSnapshot {
  readonly place: GiteaPlace;
  readonly engine: EngineIdentity;
  readonly helper: string;
  readonly folder: string;
  readonly snapshotAt: string;
  readonly metadata: NonNullable<BackupPart['metadata']>;
  readonly signal: AbortSignal | undefined;
}

function filesPart({ place, engine, helper, folder, snapshotAt, metadata, signal }: FilesSnapshot): BackupPart {
  const what = `The files of ${engine.name} could not be backed up`;
  return {
    name: 'files',
    kind: filesKind,
    extension: 'tar',
    engine,
    consistency: 'exact',
    snapshotAt,
    // Its host keys and signing keys are among them.
    isSecret: true,
    metadata,
    restoreHint: [
      `Into an empty volume, with the server stopped: tar --extract --numeric-owner --same-owner --preserve-permissions --xattrs --acls --file files.tar`,
      'Restore the database of the same set as well; then, with the server running: gitea admin regenerate hooks',
    ],
    async fingerprint() {
      try {
        return await fingerprintFiles(place, helper, folder, signal);
      } catch (error) {
        throw dumpFailed(what, error);
      }
    },
    async *content() {
      try {
        yield* packFolder(place, helper, folder, { exclude: leftOut, signal });
      } catch (error) {
        throw dumpFailed(what, error);
      }
    },
  };
}

async function restore(
  place: GiteaPlace,
  part: StoredPart,
  content: AsyncIterable<Uint8Array>,
  options: RestoreOptions = {},
): Promise<void> {
  const { replace = false, signal } = options;
  const running = await runningContainer(place);
  if (running !== undefined)
    throw placeUnusable(
      `${part.engine.name} runs, and would not notice that its data is another.`,
      `Stop it first: docker stop ${running}`,
    );
  await using helper = await openGiteaVolume(place, { signal });
  const own = await identityOf(place, helper.id);
  if (own.name !== part.engine.name) throw engineMismatch(part, own.name);
  try {
    if (part.kind === filesKind) {
      await replaceVolume(place, helper.id, content, { replace, signal });
      return;
    }
    if (place.isThrowaway === true) await makeRoles(place, part);
    await postgresAdapter.restore(place.postgres, asPostgres(place, part), content, options);
  } catch (error) {
    throw restoreFailed(`"${part.name}" could not be restored into ${own.name}`, error);
  }
}

async function fingerprint(
  place: GiteaPlace,
  part: StoredPart,
  options: RestoreOptions = {},
): ReturnType<EngineAdapter<GiteaPlace>['fingerprint']> {
  if (part.kind === databasePartKind)
    return postgresAdapter.fingerprint(place.postgres, asPostgres(place, part), options);
  await using helper = await openGiteaVolume(place, options);
  try {
    return await fingerprintFiles(place, helper.id, mountPoint, options.signal);
  } catch (error) {
    throw dumpFailed(`The files of ${part.engine.name} could not be read`, error);
  }
}

/** Also whether database and files fit: that takes both to have been restored, so it is asked with the one that comes last. */
async function check(place: GiteaPlace, part: StoredPart, options: RestoreOptions = {}): Promise<readonly string[]> {
  await using helper = await openGiteaVolume(place, options);
  if (part.kind === filesKind) return await fileProblems(place, helper.id, mountPoint);
  return [
    ...(await postgresAdapter.check(place.postgres, asPostgres(place, part), options)),
    ...(await consistencyProblems(place, helper.id, mountPoint, options.signal)),
  ];
}

async function throwaway(
  { docker, image, labels, signal }: ThrowawayOptions,
  postgresImage: string,
): Promise<Throwaway<GiteaPlace>> {
  await using stack = new AsyncDisposableStack();
  const options = { docker, labels, ...(signal === undefined ? {} : { signal }) };
  const volume = `devstack-throwaway-${randomBytes(6).toString('hex')}`;
  await docker.ensureVolume({ name: volume, labels: throwawayLabels(labels) });
  stack.defer(() => docker.removeVolume(volume));
  const postgres = stack.use(await postgresAdapter.throwaway({ ...options, image: postgresImage }));
  const open = stack.move();
  return {
    docker,
    container: undefined,
    image,
    volume,
    postgres,
    database: 'forgejo',
    labels,
    isThrowaway: true,
    [Symbol.asyncDispose]: () => open.disposeAsync(),
  };
}

async function runningContainer({ docker, container }: GiteaPlace): Promise<string | undefined> {
  if (container === undefined) return undefined;
  const { id, state } = await docker.inspectContainer(container);
  return state.running && !state.paused ? id : undefined;
}

async function identityOf(place: GiteaPlace, helper: string): Promise<EngineIdentity> {
  const text = await runScript(
    place,
    helper,
    'if command -v forgejo > /dev/null; then forgejo --version; else gitea --version; fi',
  );
  const [, name = '', version = ''] = /^(gitea|forgejo) version (\S+)/i.exec(text) ?? [];
  if (name === '')
    throw placeUnusable(
      `The image ${place.image} has neither Gitea nor Forgejo.`,
      'Name the image that the server runs as.',
    );
  const id = (await place.docker.inspectImage(place.image))?.id ?? '';
  return { name: name.toLowerCase(), version, image: { name: place.image, id } };
}

function asPostgres({ database }: GiteaPlace, part: StoredPart): StoredPart {
  const version = part.metadata?.['postgresVersion'];
  const image = part.metadata?.['postgresImage'];
  return {
    ...part,
    name: database,
    kind: databaseKind,
    engine: {
      name: 'postgresql',
      version: typeof version === 'string' ? version : '',
      image: { name: typeof image === 'string' ? image : '', id: '' },
    },
  };
}

// Owners and those who were granted something, without a login.
async function makeRoles({ postgres }: GiteaPlace, part: StoredPart): Promise<void> {
  const roles = part.metadata?.['roles'];
  for (const role of Array.isArray(roles) ? (roles as string[]) : [])
    await runOnce(
      postgres,
      maintenanceDatabase,
      `DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = ${quoteText(role)}) THEN CREATE ROLE ${quoteName(role)}; END IF; END $$`,
      { purpose: 'restore' },
    );
}
