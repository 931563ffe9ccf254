import type {
  BackupPart,
  EngineAdapter,
  Fingerprint,
  RestoreOptions,
  SourceOptions,
  StoredPart,
} from '@devstack-core/database-backup';

/** One service's way into a set and out of it, with the place of its engine inside. */
export interface ServiceBackup extends ServiceRestore {
  open(options: SourceOptions): AsyncIterable<BackupPart>;
}

/** The way out of a set alone. */
export interface ServiceRestore {
  readonly service: string;
  /** As in the parts' engine name. */
  readonly engines: readonly string[];
  /** In the order in which they are restored. */
  readonly kinds: readonly string[];
  restore(part: StoredPart, content: AsyncIterable<Uint8Array>, options?: RestoreOptions): Promise<void>;
  /** Undefined for a part that a running service has nothing to compare with. */
  fingerprint(part: StoredPart, options?: RestoreOptions): Promise<Fingerprint | undefined>;
  /** Starts what a restore or a comparison has stopped. */
  settle?(): Promise<void>;
}

/** An adapter at a place. */
export function atPlace<P>(service: string, adapter: EngineAdapter<P>, place: P): ServiceBackup {
  return {
    service,
    engines: adapter.engines,
    kinds: adapter.kinds,
    open: (options) => adapter.open(place, options),
    restore: (part, content, options) => adapter.restore(place, part, content, options),
    fingerprint: (part, options) => adapter.fingerprint(place, part, options),
  };
}
