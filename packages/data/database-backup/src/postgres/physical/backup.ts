import { randomBytes } from 'node:crypto';
import { scratchPrefix } from '../../credential-file.ts';
import { execSupervised } from '../../supervised-program.ts';
import type { BackupPart, SourceOptions } from '../../types.ts';
import { failure, refusal } from '../failure.ts';
import { describeServer, type ServerFacts } from '../identity.ts';
import { login } from '../login.ts';
import type { PostgresPlace } from '../place.ts';
import { openSession } from '../session.ts';
import { readBackupManifest } from './backup-manifest.ts';
import { fingerprintCluster } from './fingerprint-cluster.ts';
import { planPhysicalBackup, type PhysicalParent, type PhysicalPlan } from './plan.ts';
import { TarWatcher } from './tar-watcher.ts';
import { walPart } from './wal-part.ts';

export const baseKind = 'postgresql-base';
export const manifestKind = 'postgresql-base-manifest';

export interface PhysicalBackupOptions extends SourceOptions {
  /** What to build on; a full backup unless given, and where it cannot be. */
  readonly parent?: PhysicalParent | undefined;
  /** Why there is no parent, where the caller knows; kept in the metadata. */
  readonly noParentReason?: string | undefined;
  /** The folder in the container to which the server archives its write-ahead log, where it does. */
  readonly archive?: string | undefined;
  /** Told before anything is read: full or incremental, and why. */
  readonly onPlan?: ((plan: PhysicalPlan) => void) | undefined;
}

/**
 * The whole cluster by pg_basebackup, or what changed since the parent; its manifest, which the next increment is given; and the archived
 * write-ahead log. Throws DUMP_FAILED, PLACE_UNUSABLE.
 */
export async function* openPhysicalBackup(
  place: PostgresPlace,
  options: PhysicalBackupOptions = {},
): AsyncGenerator<BackupPart, void, undefined> {
  const { signal } = options;
  const server = await describeServer(place, { purpose: 'dump', signal });
  await refuseTablespaces(place, signal);
  const plan = await planPhysicalBackup(place, options);
  options.onPlan?.(plan);
  const base = basePart(place, server, plan, options);
  yield base.part;
  const manifest = base.manifest();
  if (manifest !== undefined) yield manifestPart(base.part, manifest, (options.now ?? (() => new Date()))());
  if (options.archive !== undefined) yield await walPart(place, server, options.archive, options);
}

async function refuseTablespaces(place: PostgresPlace, signal: AbortSignal | undefined): Promise<void> {
  await using session = await openSession(place, 'postgres', { purpose: 'dump', signal });
  const rows = await session.query(`SELECT spcname AS name FROM pg_tablespace WHERE oid >= 16384`);
  if (rows.length > 0)
    throw refusal(
      'dump',
      `Physical backups know no tablespaces, and there is "${String(rows[0]?.['name'])}".`,
      'Make logical backups of this cluster, or move its tables to the default tablespace.',
    );
}

interface BasePart {
  readonly part: BackupPart;
  /** As soon as its content was read. */
  manifest(): Uint8Array | undefined;
}

function basePart(
  place: PostgresPlace,
  server: ServerFacts,
  plan: PhysicalPlan,
  { signal, now = () => new Date() }: PhysicalBackupOptions,
): BasePart {
  let manifest: Uint8Array | undefined;
  const link = plan.kind === 'full' ? 0 : plan.parent.link + 1;
  const part: BackupPart = {
    name: 'cluster',
    kind: baseKind,
    extension: 'tar',
    engine: server.engine,
    consistency: 'approximate',
    consistencyReason:
      'a physical backup is of the moment at which it ends, and its fingerprint of the one at which it began; a server that is written to meanwhile differs',
    snapshotAt: now().toISOString(),
    metadata: {
      chain: plan.kind === 'full' ? randomBytes(8).toString('hex') : plan.parent.chain,
      link,
      superuser: server.superuser,
      ...(plan.kind === 'full' ? { reason: plan.reason } : { parentManifest: plan.manifest.digest }),
    },
    restoreHint:
      link === 0
        ? ['mkdir -m 700 0 && tar -xf FILE -C 0   # a data directory; pg_verifybackup 0 checks it']
        : [
            `mkdir -m 700 ${String(link)} && tar -xf FILE -C ${String(link)}   # what changed since link ${String(link - 1)}`,
            'pg_combinebackup 0 1 … -o data   # all links of the chain in order make one data directory',
          ],
    fingerprint: () => fingerprintCluster(place, { purpose: 'dump', signal }),
    content: async function* () {
      const watcher = new TarWatcher('backup_manifest');
      yield* runBaseBackup(place, plan, watcher, signal);
      manifest = watcher.kept;
    },
  };
  return { part, manifest: () => manifest };
}

async function* runBaseBackup(
  place: PostgresPlace,
  plan: PhysicalPlan,
  watcher: TarWatcher,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void, undefined> {
  const what = plan.kind === 'full' ? 'The physical backup' : 'The incremental physical backup';
  await using access = await login(place);
  await using parent = plan.kind === 'full' ? undefined : await putFile(place, plan.parent.manifest);
  const program = await execSupervised(
    place,
    [
      'pg_basebackup',
      '--no-password',
      '--pgdata=-',
      '--format=tar',
      '--wal-method=fetch',
      '--checkpoint=fast',
      '--manifest-checksums=SHA256',
      '--label=devstack-backup',
      ...(parent === undefined ? [] : [`--incremental=${parent.path}`]),
      `--dbname=${access.connection('postgres')}`,
    ],
    { signal },
  );
  for await (const chunk of program.stdout) {
    watcher.push(chunk);
    yield chunk;
  }
  const { exitCode, stderr } = await program.ended;
  if (exitCode !== 0) throw failure('dump', what, exitCode, stderr);
  if (!watcher.isComplete || watcher.kept === undefined || readBackupManifest(watcher.kept) === undefined)
    throw refusal('dump', `${what} is not whole: its manifest is missing or damaged.`);
}

// No secret, and too large for the folder of credentials.
async function putFile(
  place: PostgresPlace,
  content: Uint8Array,
): Promise<AsyncDisposable & { readonly path: string }> {
  const path = `/tmp/${scratchPrefix}${randomBytes(6).toString('hex')}`;
  const { exitCode, stderr } = await place.docker.exec(
    place.container,
    ['sh', '-c', 'umask 077; cat > "$1"', 'sh', path],
    {
      stdin: content,
    },
  );
  const remove = async (): Promise<void> => {
    await place.docker.exec(place.container, ['rm', '-f', path]);
  };
  if (exitCode === 0) return { path, [Symbol.asyncDispose]: remove };
  await remove();
  throw refusal('dump', `The manifest of the earlier backup could not be put into the container: ${stderr.trim()}`);
}

// Its moment is the end of the backup: the earliest that the log can lead to.
function manifestPart(base: BackupPart, content: Uint8Array, endedAt: Date): BackupPart {
  const manifest = readBackupManifest(content);
  return {
    name: 'cluster-manifest',
    kind: manifestKind,
    extension: 'json',
    engine: base.engine,
    consistency: 'exact',
    snapshotAt: endedAt.toISOString(),
    metadata: {
      ...base.metadata,
      manifest: manifest?.digest ?? '',
      systemIdentifier: manifest?.systemIdentifier ?? '',
      timeline: manifest?.timeline ?? 0,
      startLsn: manifest?.startLsn ?? '',
      endLsn: manifest?.endLsn ?? '',
    },
    restoreHint: ['# the list of the files of the physical backup beside it, for the next increment'],
    fingerprint: () =>
      Promise.resolve({
        schema: 'devstack/fingerprint/1',
        items: [{ kind: 'manifest', name: 'files', count: manifest?.files ?? 0, checksum: manifest?.digest ?? '' }],
      }),

    content: async function* () {
      yield content;
    },
  };
}
