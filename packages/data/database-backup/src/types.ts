import type { TlsOptions } from '@devstack-core/database-connections';
import type { DockerEngine } from '@devstack-core/docker-engine';
import type { Secret } from '@devstack-core/redaction';

/** Which program wrote the data. A part is restored by the same engine only: `mariadb` is not `mysql`, `ferretdb` is not `mongodb`. */
export interface EngineIdentity {
  /** e.g. `postgresql`, `mariadb`, `ferretdb`, `redis`, `rabbitmq`, `gitea`, `volume`. */
  readonly name: string;
  /** As the server itself tells it, e.g. `17.6`. */
  readonly version: string;
  /** Name and id of the image that ran it. */
  readonly image: { readonly name: string; readonly id: string };
}

/** What a part holds, counted and summed without regard to order, by the engine itself. */
export interface Fingerprint {
  readonly schema: 'devstack/fingerprint/1';
  readonly items: readonly FingerprintItem[];
}

export interface FingerprintItem {
  /** What it is, e.g. `table`, `schema`, `sequence`, `collection`, `indexes`, `keys`, `queue`, `file`. */
  readonly kind: string;
  /** e.g. `public.orders`. */
  readonly name: string;
  /** Rows, documents, keys, messages, bytes. */
  readonly count: number;
  /** Of the content; the same for the same content, in any order. */
  readonly checksum: string;
  /** From this moment (UTC) on what it counts may go by itself, such as keys with a time to live: a difference says nothing then. */
  readonly validUntil?: string;
}

/** One difference between two fingerprints, in words. */
export interface FingerprintDifference {
  readonly kind: string;
  readonly name: string;
  readonly problem: 'missing' | 'unexpected' | 'count' | 'content';
  readonly expected: number | null;
  readonly actual: number | null;
}

/** What is known of a part without its content. */
export interface PartDescription {
  /** Unique in its service, e.g. a database's name, in any script; `globals`, `keys`, `definitions`. */
  readonly name: string;
  /** What reads it back, e.g. `postgresql-globals`, `postgresql-database`, `mariadb-database`, `redis-keys`, `rabbitmq-messages`, `volume`. */
  readonly kind: string;
  /** Without compression and encryption: `dump`, `sql`, `archive`, `rdb`, `json`, `tar`. */
  readonly extension: string;
  readonly engine: EngineIdentity;
  /** Whether content and fingerprint are of one moment. */
  readonly consistency: 'exact' | 'approximate';
  /** Why only approximate. */
  readonly consistencyReason?: string;
  /** The moment, UTC. */
  readonly snapshotAt: string;
  /** Small secrets, such as roles with password verifiers: their plain checksum would confirm a guess. */
  readonly isSecret?: boolean;
  /** Whatever its restore needs to know, e.g. owner, encoding, slots; never a secret. */
  readonly metadata?: Readonly<Record<string, string | number | boolean | readonly string[]>>;
  /** Lines for the recovery card: how to bring the decrypted file back with the engine's own tools. */
  readonly restoreHint: readonly string[];
}

/** One thing that is dumped and restored as a whole. `fingerprint` is asked before `content`, each at most once. */
export interface BackupPart extends PartDescription {
  /** In the dump's own snapshot. */
  fingerprint(): Promise<Fingerprint>;
  /** The plain bytes. Throws DUMP_FAILED whenever what came is not the whole dump, at the latest at its end. */
  content(): AsyncIterable<Uint8Array>;
}

/** A part that comes back out of a set. */
export interface StoredPart extends PartDescription {
  readonly service: string;
}

/** A container that runs an engine, and how to log in there. Adapters add what they need. */
export interface Place {
  readonly docker: DockerEngine;
  readonly container: string;
  readonly username: string;
  /** Undefined where the engine trusts whoever is inside the container: throwaway places only. */
  readonly password: Secret | undefined;
  /** A folder in memory inside the container that the engine's user may write, e.g. `/run/credentials`. */
  readonly scratch: string;
}

/** A place whose engine is spoken to by a driver from this machine. */
export interface DriverPlace extends Place {
  readonly connect: { readonly host: string; readonly port: number; readonly tls?: TlsOptions };
}

/** A place that is gone at the end of its scope. */
export type Throwaway<P> = P & AsyncDisposable;

export interface SourceOptions {
  /** No fingerprint will be asked for: nothing needs to be locked or read for it. */
  readonly fingerprints?: boolean;
  readonly signal?: AbortSignal;
  readonly now?: () => Date;
}

export interface RestoreOptions {
  readonly signal?: AbortSignal;
  /** Allows engines that would have to delete first what the place has (Redis, RabbitMQ, Gitea) to do so; they refuse otherwise. */
  readonly replace?: boolean;
}

export interface ThrowawayOptions {
  readonly docker: DockerEngine;
  /** The image that the part's engine ran as. */
  readonly image: string;
  /** For whoever takes parts of several engines: the image of each, by the engine's name. */
  readonly images?: Readonly<Record<string, string>>;
  /** On everything that is made, so that a later run can sweep. */
  readonly labels: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

/** How one engine is backed up, restored, compared and checked. Most places are a `Place`; a volume or a folder has no engine to log in to. */
export interface EngineAdapter<P> {
  /** As in `EngineIdentity.name`; one adapter may serve several. */
  readonly engines: readonly string[];
  /** The kinds of part that it makes and restores, in the order in which they are restored. */
  readonly kinds: readonly string[];
  /**
   * Opens one snapshot and gives its parts; the snapshot lives until the iteration ends. Each part is done with before the next is asked for.
   * Throws DUMP_FAILED, PLACE_UNUSABLE.
   */
  open(place: P, options?: SourceOptions): AsyncIterable<BackupPart>;
  /** Replaces what the place has under the part's name. Throws RESTORE_FAILED, ENGINE_MISMATCH. */
  restore(place: P, part: StoredPart, content: AsyncIterable<Uint8Array>, options?: RestoreOptions): Promise<void>;
  /** Of what the place holds now under the part's name. */
  fingerprint(place: P, part: StoredPart, options?: RestoreOptions): Promise<Fingerprint>;
  /** The engine's own checks; each problem is one sentence. Empty when there is none. */
  check(place: P, part: StoredPart, options?: RestoreOptions): Promise<readonly string[]>;
  /** An empty engine of that image without network. */
  throwaway(options: ThrowawayOptions): Promise<Throwaway<P>>;
}
