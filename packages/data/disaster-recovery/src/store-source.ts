import type { BackupStore, SetEntry } from '@devstack-core/backup-store';
import type { VerificationReport } from '@devstack-core/backup-verification';
import type { Candidate, RecoverySource, SetVerdict } from './choose.ts';

export interface StoreSourceOptions {
  readonly store: Pick<BackupStore, 'list'>;
  /** `verifySet` with everything but these given. */
  readonly verify: (id: string, level: 1 | 2 | 3, signal?: AbortSignal) => Promise<VerificationReport>;
}

/** The sets of a store as the source of a recovery. Unfinished and foreign folders are no candidates. */
export function storeSource({ store, verify }: StoreSourceOptions): RecoverySource {
  return {
    list: async () =>
      (await store.list()).filter(({ status }) => status !== 'partial' && status !== 'foreign').map(candidateOf),
    verify: async (id, level, signal) => verdictOf(await verify(id, level, signal)),
  };
}

function candidateOf(entry: SetEntry): Candidate {
  const { manifest, sha256, status, problem, trust, verified } = entry;
  const reason =
    status !== 'complete'
      ? (problem?.message ?? status)
      : trust === 'unchecked'
        ? 'its manifest cannot be proved without the passphrase'
        : undefined;
  return {
    id: entry.id,
    manifestSha256: sha256 ?? '',
    sequence: manifest?.sequence ?? 0,
    createdAt: manifest?.createdAt ?? entry.createdAt ?? '',
    kind: manifest?.kind ?? 'full',
    encrypted: entry.encrypted ?? false,
    sizeBytes: manifest?.artifacts.reduce((sum, { plain }) => sum + plain.bytes, 0) ?? 0,
    snapshots: manifest?.parts.map(({ service, snapshotAt }) => ({ service, snapshotAt })) ?? [],
    ...(reason === undefined ? {} : { unusable: reason }),
    ...(verified?.level === 3 && verified.verdict === 'valid' ? { provenAt: verified.at } : {}),
  };
}

function verdictOf({ verdict, findings, parts }: VerificationReport): SetVerdict {
  const ofParts = parts.flatMap(({ service, part, findings: own }) =>
    own.map(({ message }) => `${service}/${part}: ${message}`),
  );
  return { verdict, reasons: [...findings.map(({ message }) => message), ...ofParts] };
}
