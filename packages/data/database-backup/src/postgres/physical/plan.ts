import type { PostgresPlace } from '../place.ts';
import { openSession } from '../session.ts';
import { readBackupManifest, type BackupManifest } from './backup-manifest.ts';

/** Beyond this many increments a new full backup is due: each link is one more thing that a restore needs whole. */
export const longestChain = 6;

/** The newest link of a chain, to build on. */
export interface PhysicalParent {
  /** Content of its part of kind `postgresql-base-manifest`. */
  readonly manifest: Uint8Array;
  /** Its place in the chain, as its metadata says: 0 for a full backup. */
  readonly link: number;
  /** What names the chain, as its metadata says. */
  readonly chain: string;
}

/** What kind of physical backup can be made, and why it is not the smaller one. */
export type PhysicalPlan =
  | { readonly kind: 'full'; readonly reason: string }
  | { readonly kind: 'incremental'; readonly parent: PhysicalParent; readonly manifest: BackupManifest };

export interface PhysicalPlanOptions {
  readonly parent?: PhysicalParent | undefined;
  /** Why there is no parent, where the caller knows. */
  readonly noParentReason?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Whether the parent can be built on. Throws PLACE_UNUSABLE. */
export async function planPhysicalBackup(
  place: PostgresPlace,
  { parent, noParentReason = 'there is no earlier one to build on', signal }: PhysicalPlanOptions = {},
): Promise<PhysicalPlan> {
  if (parent === undefined) return full(noParentReason);
  const manifest = readBackupManifest(parent.manifest);
  if (manifest === undefined) return full('the manifest of the earlier one is damaged');
  if (parent.link + 1 > longestChain) return full(`the chain has ${String(longestChain)} increments already`);
  await using session = await openSession(place, 'postgres', { purpose: 'dump', signal });
  const [version] = await session.query(`SELECT current_setting('server_version_num')::int AS number`);
  if (Number(version?.['number']) < 170_000) return full('increments need PostgreSQL 17');
  const [row] = await session.query(
    `SELECT current_setting('summarize_wal') AS summarize, (SELECT system_identifier::text FROM pg_control_system()) AS system, (SELECT timeline_id FROM pg_control_checkpoint()) AS timeline,
      (SELECT coalesce(bool_or(start_lsn <= '${manifest.startLsn}'), false) FROM pg_available_wal_summaries() WHERE tli = ${String(manifest.timeline)}) AS reaches`,
  );
  if (row?.['system'] !== manifest.systemIdentifier) return full('the earlier one is of another cluster');
  if (row['summarize'] !== 'on') return full('the server does not summarize its write-ahead log (summarize_wal)');
  if (Number(row['timeline']) !== manifest.timeline)
    return full('the server was restored or promoted since the earlier one');
  if (row['reaches'] !== true)
    return full(
      'the server has no summaries any more of what was written since the earlier one (wal_summary_keep_time)',
    );
  return { kind: 'incremental', parent, manifest };
}

function full(reason: string): PhysicalPlan {
  return { kind: 'full', reason };
}
