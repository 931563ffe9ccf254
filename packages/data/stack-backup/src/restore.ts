import type { BackupStore, PartRecord, SetManifest } from '@devstack-core/backup-store';
import {
  compareFingerprints,
  type Fingerprint,
  type FingerprintDifference,
  type StoredPart,
} from '@devstack-core/database-backup';
import { abortReason, DevstackError } from '@devstack-core/errors';
import type { OnEvent } from '@devstack-core/stack-lifecycle';
import { bytesText } from './create.ts';
import { StackBackupErrorCode } from './errors.ts';
import type { KeptAt } from './physical-restore.ts';
import type { ServiceRestore } from './service-backup.ts';
import { artifactOf, bytesOf } from './set-files.ts';

/** What to bring back, and where to. */
export interface RestoreBackupOptions {
  readonly set: string;
  /** Where the parts of each service go; parts of others are left alone. */
  readonly services: readonly ServiceRestore[];
  /** Parts that are done already, as `service/part`: of a run that was cut off. */
  readonly done?: ReadonlySet<string>;
  readonly onPart?: (part: string) => Promise<void>;
  readonly onEvent?: OnEvent | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A part that was restored and compared with what the set says of it. */
export interface RestoredPart {
  readonly service: string;
  readonly part: string;
  readonly consistency: 'exact' | 'approximate';
  /** Null where there is nothing to compare: the set has no fingerprint of it, or it is of another moment. */
  readonly differences: readonly FingerprintDifference[] | null;
  /** Where what was there before is kept; only where it is. */
  readonly keptAt?: KeptAt;
}

/**
 * Restores the parts of a set into running services, one after another, in the order in which each engine needs them. Nothing is released
 * before it is verified. Throws RESTORE_FAILED, ENGINE_MISMATCH, NOTHING_SELECTED, INTERRUPTED and what the store throws.
 */
export async function restoreBackup(store: BackupStore, options: RestoreBackupOptions): Promise<readonly string[]> {
  const manifest = await store.read(options.set);
  const restored: string[] = [];
  for (const { service, part } of selectParts(manifest, options.services)) {
    const step = `${part.service}/${part.name}`;
    if (options.done?.has(step) === true) continue;
    const title = `${part.service}: ${part.name}`;
    const aborted = abortReason(options.signal, `The restore of ${title}`);
    if (aborted !== undefined) throw aborted;
    const started = performance.now();
    options.onEvent?.({ type: 'step-started', step, title });
    const signal = options.signal === undefined ? {} : { signal: options.signal };
    const artifact = artifactOf(manifest, part.service, part.name, 'content');
    await service.restore(part, store.open(options.set, artifact, signal), { replace: true, ...signal });
    await options.onPart?.(step);
    options.onEvent?.({
      type: 'step-done',
      step,
      title,
      changed: true,
      detail: bytesText(artifact.plain.bytes),
      durationMs: performance.now() - started,
    });
    restored.push(step);
  }
  if (restored.length === 0 && options.done === undefined) throw nothing(manifest, options.services);
  return restored;
}

/** Compares what services hold now with the fingerprints of a set. */
export async function compareWithBackup(
  store: BackupStore,
  options: Pick<RestoreBackupOptions, 'set' | 'services' | 'onEvent' | 'signal'>,
): Promise<readonly RestoredPart[]> {
  const manifest = await store.read(options.set);
  const compared: RestoredPart[] = [];
  for (const { service, part } of selectParts(manifest, options.services)) {
    const about = { service: part.service, part: part.name, consistency: part.consistency };
    if (part.fingerprintDigest === null) {
      compared.push({ ...about, differences: null });
      continue;
    }
    const signal = options.signal === undefined ? {} : { signal: options.signal };
    const content = store.open(options.set, artifactOf(manifest, part.service, part.name, 'fingerprint'), signal);
    const text = Buffer.from(await bytesOf(content)).toString();
    const expected = JSON.parse(text) as Fingerprint;
    const found = await service.fingerprint(part, signal);
    compared.push({ ...about, differences: found === undefined ? null : compareFingerprints(expected, found) });
  }
  return compared;
}

interface Selected {
  readonly service: ServiceRestore;
  readonly part: StoredPart & Pick<PartRecord, 'fingerprintDigest'>;
}

function selectParts(manifest: SetManifest, services: readonly ServiceRestore[]): readonly Selected[] {
  return services.flatMap((service) => {
    const parts = manifest.parts.filter(
      (part) => part.service === service.service && service.kinds.includes(part.kind),
    );
    for (const { engine, name } of parts)
      if (!service.engines.includes(engine.name)) throw otherEngine(service, engine.name, name);
    const order = (part: PartRecord): number => service.kinds.indexOf(part.kind);
    return parts.toSorted((a, b) => order(a) - order(b)).map((part) => ({ service, part }));
  });
}

function otherEngine(service: ServiceRestore, engine: string, part: string): DevstackError {
  return new DevstackError({
    code: 'ENGINE_MISMATCH',
    message: `"${part}" of ${service.service} was backed up from ${engine}; here runs ${service.engines.join(' or ')}.`,
    hint: 'Start the service with the image that the backup was made of.',
  });
}

function nothing(manifest: SetManifest, services: readonly ServiceRestore[]): DevstackError {
  const there = [...new Set(manifest.parts.map(({ service }) => service))];
  return new DevstackError({
    code: StackBackupErrorCode.nothingSelected,
    message: `The backup ${manifest.id} has nothing of ${services.map(({ service }) => service).join(', ')}.`,
    hint: `It has: ${there.join(', ')}.`,
  });
}
