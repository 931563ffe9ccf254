import type { RecoverySet } from './types.ts';

/** How much would be lost. */
export interface RecoveryPoint {
  /** From the oldest snapshot to the moment of the disaster; 0 where the clock says that it is yet to come. */
  readonly worstSeconds: number;
  readonly worstService: string;
  readonly services: readonly { readonly service: string; readonly snapshotAt: string; readonly seconds: number }[];
}

/** The recovery point objective's measure: for each service its oldest part counts, and the worst service for the set. */
export function recoveryPoint(set: Pick<RecoverySet, 'snapshots'>, now: Date): RecoveryPoint {
  const oldest = new Map<string, string>();
  for (const { service, snapshotAt } of set.snapshots) {
    const known = oldest.get(service);
    if (known === undefined || Date.parse(snapshotAt) < Date.parse(known)) oldest.set(service, snapshotAt);
  }
  const services = [...oldest].map(([service, snapshotAt]) => ({
    service,
    snapshotAt,
    seconds: Math.max(0, (now.getTime() - Date.parse(snapshotAt)) / 1000),
  }));
  const worst = services.toSorted((a, b) => b.seconds - a.seconds)[0];
  return { worstSeconds: worst?.seconds ?? 0, worstService: worst?.service ?? '', services };
}

/** What a recovery is measured against. */
export interface Objectives {
  readonly rtoSeconds: number;
  readonly rpoSeconds: number;
}

/** 30 minutes and 24 hours. */
export const defaultObjectives: Objectives = { rtoSeconds: 30 * 60, rpoSeconds: 24 * 60 * 60 };
