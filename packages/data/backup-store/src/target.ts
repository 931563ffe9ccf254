import type { FileMeasure } from './manifest.ts';

/** A place for copies of sets: another disk, or object storage. Names are `<set id>/<file>`. */
export interface OffsiteTarget {
  /** For people, e.g. `s3://bucket/prefix`; never a secret. */
  readonly label: string;
  /** What is stored under a name as the target itself measures it; undefined where there is nothing. */
  measure(name: string): Promise<StoredMeasure | undefined>;
  /** Stores a file. When this returns it is as durable as the target makes anything; nothing half-written appears under the name. */
  put(name: string, path: string, measure: FileMeasure, signal?: AbortSignal): Promise<void>;
  /** The bytes under a name. Throws `BACKUP_NOT_FOUND`. */
  get(name: string, signal?: AbortSignal): AsyncIterable<Uint8Array>;
  /** The sets that have a manifest there. */
  sets(): Promise<readonly string[]>;
}

/** What a target knows of a stored file: its size, and its SHA-256 where it has computed one itself. */
export interface StoredMeasure {
  readonly bytes: number;
  readonly sha256: string | undefined;
}
