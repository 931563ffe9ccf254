import { createHash } from 'node:crypto';
import type {
  ArtifactRecord,
  BackupStore,
  NewHistoryRecord,
  PartRecord,
  RestoreVerdict,
  SetManifest,
  VerifyProblem,
} from '@devstack-core/backup-store';
import { serializeFingerprint, type Fingerprint } from '@devstack-core/database-backup';
import { DevstackError } from '@devstack-core/errors';

export const setId = '20261120_020000';

export interface FakePart {
  readonly service: string;
  readonly name: string;
  readonly kind?: string;
  readonly extension?: string;
  readonly content?: string | Uint8Array;
  readonly fingerprint?: Fingerprint | string | undefined;
  readonly engine?: string;
  readonly image?: { readonly name: string; readonly id: string };
  readonly approximate?: string;
}

/** A store with one set, which is in memory and whole unless told otherwise. */
export class FakeStore implements Pick<
  BackupStore,
  'verify' | 'read' | 'open' | 'recordRestoreTest' | 'appendHistory'
> {
  readonly history: NewHistoryRecord[] = [];
  readonly restoreTests: RestoreVerdict[] = [];
  problems: readonly VerifyProblem[] = [];
  isReadable = true;
  isWritable = true;
  /** How much of each artifact is given out before it breaks off; by name. */
  readonly broken = new Map<string, string>();
  readonly opened: string[] = [];
  readonly #manifest: SetManifest;
  readonly #contents = new Map<string, Uint8Array>();

  constructor(parts: readonly FakePart[]) {
    const artifacts = parts.flatMap((part) => this.#artifactsOf(part));
    this.#manifest = { id: setId, parts: parts.map(partOf), artifacts } as unknown as SetManifest;
  }

  verify: BackupStore['verify'] = (id, options = {}) => {
    for (const { name, cipher } of this.#manifest.artifacts)
      options.onProgress?.({ artifact: name, bytes: cipher.bytes, ofBytes: cipher.bytes });
    return Promise.resolve({
      id,
      level: 1,
      verdict: this.problems.length === 0 ? 'valid' : 'invalid',
      problems: this.problems,
      checkedArtifacts: this.#manifest.artifacts.length,
      checkedBytes: 0,
      durationMs: 0,
    });
  };

  read: BackupStore['read'] = () =>
    this.isReadable
      ? Promise.resolve(this.#manifest)
      : Promise.reject(new DevstackError({ code: 'BACKUP_MANIFEST_FORGED', message: 'forged' }));

  async *#open(name: string): AsyncGenerator<Uint8Array, void, undefined> {
    await Promise.resolve();
    this.opened.push(name);
    const code = this.broken.get(name);
    if (code !== undefined) throw new DevstackError({ code, message: `${name} is broken` });
    const bytes = this.#contents.get(name) ?? new Uint8Array();
    for (let at = 0; at < bytes.byteLength; at += 7) yield bytes.subarray(at, at + 7);
  }

  open: BackupStore['open'] = (_id, artifact) => this.#open(typeof artifact === 'string' ? artifact : artifact.name);

  recordRestoreTest: BackupStore['recordRestoreTest'] = (_id, result) => {
    if (!this.isWritable)
      return Promise.reject(new DevstackError({ code: 'FILE_NOT_PERMITTED', message: 'read-only' }));
    this.restoreTests.push(result);
    return Promise.resolve({ pinned: false, restored: {}, verified: null });
  };

  appendHistory: BackupStore['appendHistory'] = (record) => {
    if (!this.isWritable)
      return Promise.reject(new DevstackError({ code: 'FILE_NOT_PERMITTED', message: 'read-only' }));
    this.history.push(record);
    return Promise.resolve({ at: '', ...record } as Awaited<ReturnType<BackupStore['appendHistory']>>);
  };

  #artifactsOf({ service, name, content, fingerprint, extension = 'jsonl' }: FakePart): ArtifactRecord[] {
    const artifacts: ArtifactRecord[] = [];
    const add = (kind: string, value: string | Uint8Array, ending: string): void => {
      const bytes = typeof value === 'string' ? new TextEncoder().encode(value) : value;
      const id = `${service}/${name}/${kind}`;
      const measure = { bytes: bytes.byteLength, sha256: createHash('sha256').update(bytes).digest('hex') };
      this.#contents.set(id, bytes);
      artifacts.push({
        contentId: createHash('md5').update(id).digest('hex'),
        name: id,
        service,
        part: name,
        kind,
        extension: ending,
        file: `${service}.${name}.${ending}.zst`,
        isSecret: false,
        plain: measure,
        cipher: measure,
        heldBy: null,
      });
    };
    if (content !== undefined) add('content', content, extension);
    if (fingerprint !== undefined)
      add(
        'fingerprint',
        typeof fingerprint === 'string' ? fingerprint : serializeFingerprint(fingerprint),
        'fingerprint.json',
      );
    return artifacts;
  }
}

function partOf(part: FakePart): PartRecord {
  return {
    service: part.service,
    name: part.name,
    kind: part.kind ?? 'fake-items',
    extension: part.extension ?? 'jsonl',
    engine: {
      name: part.engine ?? 'fake',
      version: '1.2',
      image: part.image ?? { name: 'devstack/fake:local', id: 'sha256:same' },
    },
    consistency: part.approximate === undefined ? 'exact' : 'approximate',
    ...(part.approximate === undefined ? {} : { consistencyReason: part.approximate }),
    snapshotAt: '2026-11-20T02:00:00.000Z',
    restoreHint: [],
    fingerprintDigest: null,
  };
}
