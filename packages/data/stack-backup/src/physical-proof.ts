import type { BackupStore, PartRecord } from '@devstack-core/backup-store';
import { judge } from '@devstack-core/backup-verification';
import {
  postgresPhysicalAdapter,
  type Fingerprint,
  type PostgresPlace,
  type RecoveryPlace,
} from '@devstack-core/database-backup';
import { DevstackError } from '@devstack-core/errors';
import { bytesText } from './create.ts';
import { StackBackupErrorCode } from './errors.ts';
import type { RecoveryTarget } from './physical-moment.ts';
import type { PhysicalSet } from './physical-set.ts';
import { artifactOf, bytesOf, partOf } from './set-files.ts';

export interface ClusterProofOptions {
  readonly store: Pick<BackupStore, 'open'>;
  readonly target?: RecoveryTarget | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Without a target a cluster must have all that its set says; with one, of another moment, it must be sound. Throws RECOVERY_NOT_PROVEN. */
export async function proveCluster(
  { store, target, signal }: ClusterProofOptions,
  { manifest, base }: PhysicalSet,
  server: PostgresPlace,
): Promise<void> {
  const adapter = postgresPhysicalAdapter();
  const part = { ...base, service: 'postgres' };
  const withSignal = signal === undefined ? {} : { signal };
  const problems = [...(await adapter.check(server, part, withSignal))];
  if (target === undefined && base.fingerprintDigest !== null) {
    const artifact = artifactOf(manifest, 'postgres', base.name, 'fingerprint');
    const text = Buffer.from(await bytesOf(store.open(manifest.id, artifact))).toString();
    const found = await adapter.fingerprint(server, part, withSignal);
    const { findings } = judge(JSON.parse(text) as Fingerprint, found, part, new Date());
    problems.push(...findings.map(({ message }) => message));
  }
  if (problems.length === 0) return;
  throw new DevstackError({
    code: StackBackupErrorCode.notProven,
    message: `What came back of the backup ${manifest.id} is not sound: ${problems.slice(0, 3).join(' ')}`,
    hint: 'PostgreSQL is as it was. Use another set, or look at it with devstack backup verify.',
    details: { problems },
  });
}

/** Every link, the cluster that they make, and the log lie beside the old cluster for a while. Throws COPY_FAILED. */
export async function refuseNoSpace(
  { docker, container, root }: RecoveryPlace,
  chain: readonly PhysicalSet[],
  log: readonly PhysicalSet[],
): Promise<void> {
  const bytesOfPart = ({ manifest }: PhysicalSet, part: PartRecord | undefined): number =>
    part === undefined ? 0 : partOf(manifest, 'postgres', part.name).artifact.plain.bytes;
  const links = chain.map((set) => bytesOfPart(set, set.base));
  const needed = [...links, links[0] ?? 0, ...log.map((set) => bytesOfPart(set, set.wal))].reduce((a, b) => a + b, 0);
  const { exitCode, stdout } = await docker.exec(container, ['df', '--block-size=1', '--output=avail', root]);
  const free = Number(stdout.split('\n')[1] ?? NaN);
  if (exitCode !== 0 || !(free < needed)) return;
  throw new DevstackError({
    code: StackBackupErrorCode.copyFailed,
    message: `The new cluster needs ${bytesText(needed)} beside the old one, and ${bytesText(free)} are free.`,
    hint: 'Make room: docker system df. Nothing was changed.',
    details: { needed, free },
  });
}
