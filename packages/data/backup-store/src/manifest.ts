/** The format that this version writes; it reads all older ones. */
export const manifestSchema = 'devstack/backup-set/1';

/** Somebody's public key. */
export interface Recipient {
  /** Upper-case hex. */
  readonly fingerprint: string;
  /** Armored: a change of the passphrase encrypts with it again. */
  readonly publicKey: string;
}

/** A length and a digest. */
export interface FileMeasure {
  readonly bytes: number;
  readonly sha256: string;
}

/** The plain side of an artifact. A small secret has a digest under the set's key: its bare checksum would confirm a guess. */
export type PlainMeasure = FileMeasure | { readonly bytes: number; readonly hmac: string };

/** One file of a set. */
export interface ArtifactRecord {
  /** Stays the same when the passphrase changes and when later sets refer to it. */
  readonly contentId: string;
  /** `<service>/<part>/<kind>`, in the names' own script; unique in the set. */
  readonly name: string;
  readonly service: string;
  readonly part: string;
  /** `content`, `fingerprint`, or whatever the caller calls it. */
  readonly kind: string;
  /** Of the plain content, e.g. `dump`. */
  readonly extension: string;
  /** The name of the file, in the folder of the set that holds it. */
  readonly file: string;
  readonly isSecret: boolean;
  readonly plain: PlainMeasure;
  /** Of the file as it was when this manifest was written. */
  readonly cipher: FileMeasure;
  /** The id of the set that holds the file; null when this one does. */
  readonly heldBy: string | null;
  readonly engine?: EngineRecord;
  readonly metadata?: Metadata;
}

/** Which program wrote the data. */
export interface EngineRecord {
  readonly name: string;
  readonly version: string;
  readonly image: { readonly name: string; readonly id: string };
}

/** What a restore needs to know; never a secret. */
export type Metadata = Readonly<Record<string, string | number | boolean | readonly string[]>>;

/** One thing that was dumped and is restored as a whole. */
export interface PartRecord {
  readonly service: string;
  readonly name: string;
  readonly kind: string;
  readonly extension: string;
  readonly engine: EngineRecord;
  /** Whether content and fingerprint are of one moment. */
  readonly consistency: 'exact' | 'approximate';
  readonly consistencyReason?: string;
  /** ISO 8601, UTC. */
  readonly snapshotAt: string;
  readonly isSecret?: boolean;
  readonly metadata?: Metadata;
  /** Lines for the recovery card. */
  readonly restoreHint: readonly string[];
  /** Under the set's key (`draft.digestOf`), so that it tells whether anything changed, and nothing else; null without a fingerprint. */
  readonly fingerprintDigest: string | null;
}

/** What a set says of itself. */
export interface SetManifest {
  readonly schema: typeof manifestSchema;
  readonly id: string;
  readonly kind: 'full' | 'incremental';
  /** The set that this one builds upon. */
  readonly parent: string | null;
  /** Grows with every set of a store. */
  readonly sequence: number;
  /** Grows when the set is written anew under another passphrase. */
  readonly revision: number;
  /** The set made before this one, and the SHA-256 of its manifest. */
  readonly previous: { readonly id: string; readonly sha256: string } | null;
  readonly project: string;
  /** ISO 8601, UTC. */
  readonly createdAt: string;
  readonly finishedAt: string;
  /** IANA. */
  readonly timeZone: string;
  /** The civil date of `createdAt` there. */
  readonly localDate: string;
  readonly tool: { readonly name: string; readonly version: string };
  /** Where it was made, as told by the caller; never a secret. */
  readonly host: Metadata;
  readonly encrypted: boolean;
  /** Whose private keys open the artifacts beside the passphrase. What proves this manifest is the passphrase alone. */
  readonly recipients?: readonly Recipient[];
  readonly parts: readonly PartRecord[];
  readonly artifacts: readonly ArtifactRecord[];
  /** SHA-256 of the files beside the artifacts: `SHA256SUMS`, `RECOVERY.md`. */
  readonly texts: Readonly<Record<string, string>>;
}

/** The public keys that a set's artifacts are encrypted with. */
export function publicKeysOf({ recipients = [] }: Pick<SetManifest, 'recipients'>): readonly string[] {
  return recipients.map(({ publicKey }) => publicKey);
}

/** Whether the same private keys open both sets. */
export function isForTheSame(a: Pick<SetManifest, 'recipients'>, b: Pick<SetManifest, 'recipients'>): boolean {
  const keys = (manifest: Pick<SetManifest, 'recipients'>): string =>
    (manifest.recipients ?? [])
      .map(({ fingerprint }) => fingerprint)
      .toSorted()
      .join();
  return keys(a) === keys(b);
}

/** The sets that a set cannot be restored without. */
export function needsOf(manifest: SetManifest): string[] {
  const needs = new Set(manifest.artifacts.flatMap(({ heldBy }) => (heldBy === null ? [] : [heldBy])));
  if (manifest.parent !== null) needs.add(manifest.parent);
  return [...needs].toSorted();
}

/** The services that a set has something of. */
export function servicesOf(manifest: SetManifest): string[] {
  return [...new Set([...manifest.parts, ...manifest.artifacts].map(({ service }) => service))].toSorted();
}

/** The artifacts whose files lie in the set's own folder. */
export function ownArtifacts(manifest: SetManifest): readonly ArtifactRecord[] {
  return manifest.artifacts.filter(({ heldBy }) => heldBy === null);
}
