import { randomBytes } from 'node:crypto';
import { lstat, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Secret } from '@devstack-core/redaction';
import {
  openBackupStore,
  type BackupStore,
  type EngineRecord,
  type OpenBackupStoreOptions,
  type PartRecord,
  type SetDraft,
  type SetManifest,
} from '../src/index.ts';

export const passphrase: Secret = new Secret('correct horse battery staple');
export const otherPassphrase: Secret = new Secret('another horse another staple');

export const engine: EngineRecord = {
  name: 'postgresql',
  version: '17.6',
  image: { name: 'devstack/postgres:local', id: 'sha256:0123' },
};

/** A store in a folder of its own, with a clock that the test moves. */
export interface StoreFolder extends AsyncDisposable {
  readonly directory: string;
  readonly store: BackupStore;
  now: Date;
  /** The same folder, opened in another way. */
  reopen(overrides?: Partial<OpenBackupStoreOptions>): BackupStore;
}

export async function storeFolder(overrides: Partial<OpenBackupStoreOptions> = {}): Promise<StoreFolder> {
  const directory = join(await mkdtemp(join(tmpdir(), 'devstack-store-')), 'backups');
  const folder: StoreFolder = {
    directory,
    now: new Date('2026-11-20T10:00:00Z'),
    store: undefined as never,
    reopen: (more = {}) =>
      openBackupStore({
        directory,
        passphrase,
        tool: { name: 'devstack', version: '1.0.0' },
        timeZone: 'Europe/Berlin',
        now: () => folder.now,
        ...overrides,
        ...more,
      }),
    async [Symbol.asyncDispose]() {
      await rm(join(directory, '..'), { recursive: true, force: true });
    },
  };
  return Object.assign(folder, { store: folder.reopen() });
}

/** What a set is made of: the content of each part, by service and name. */
export type Contents = Readonly<Record<string, Readonly<Record<string, string | Uint8Array>>>>;

export const twoServices: Contents = {
  postgres: { app: 'CREATE TABLE t();\n', globals: 'CREATE ROLE r;\n' },
  vault: { keys: '{"keys":["secret-share"]}' },
};

/** What differs from a full encrypted set of two services. */
export interface SetOptions {
  readonly contents?: Contents;
  readonly encrypted?: boolean;
  readonly parent?: string;
}

export async function beginSet(store: BackupStore, options: SetOptions = {}): Promise<SetDraft> {
  const { contents = twoServices, encrypted = true, parent } = options;
  const draft = await store.create({
    project: 'example',
    kind: parent === undefined ? 'full' : 'incremental',
    ...(parent === undefined ? {} : { parent }),
    encrypted,
    host: { name: 'laptop' },
  });
  try {
    for (const [service, parts] of Object.entries(contents))
      for (const [part, content] of Object.entries(parts)) await addPart(draft, service, part, content);
    return draft;
  } catch (error) {
    await draft[Symbol.asyncDispose]();
    throw error;
  }
}

export async function makeSet(store: BackupStore, options: SetOptions = {}): Promise<SetManifest> {
  await using draft = await beginSet(store, options);
  return await draft.finish();
}

/** A part with its fingerprint, taken over from the parent where it has not changed. */
export async function addPart(
  draft: SetDraft,
  service: string,
  part: string,
  content: string | Uint8Array,
): Promise<void> {
  const fingerprint = Buffer.from(JSON.stringify({ of: Buffer.from(content).toString('base64') }));
  const isSecret = service === 'vault';
  await draft.add({ service, part, kind: 'fingerprint', extension: 'fingerprint.json', content: pieces(fingerprint) });
  const held = draft.unchanged({ service, part, engine }, fingerprint);
  if (held === undefined)
    await draft.add({ service, part, kind: 'content', extension: 'dump', content: pieces(content), isSecret });
  else await draft.reference(held);
  draft.part({ ...partRecord(service, part), fingerprintDigest: draft.digestOf(fingerprint), isSecret });
}

export function partRecord(service: string, name: string): PartRecord {
  return {
    service,
    name,
    kind: 'postgresql-database',
    extension: 'dump',
    engine,
    consistency: 'exact',
    snapshotAt: '2026-11-20T10:00:00Z',
    metadata: { owner: 'app', schemas: ['public'] },
    restoreHint: [`pg_restore --dbname ${name} plain/${service}.${name}.dump`],
    fingerprintDigest: null,
  };
}

export async function* pieces(content: string | Uint8Array): AsyncGenerator<Uint8Array> {
  const bytes = Buffer.from(content);
  for (let start = 0; start < bytes.length; start += 65_536) yield bytes.subarray(start, start + 65_536);
}

export function random(bytes: number): Uint8Array {
  return randomBytes(bytes);
}

export async function textOf(content: AsyncIterable<Uint8Array>): Promise<string> {
  const all: Uint8Array[] = [];
  for await (const piece of content) all.push(piece);
  return Buffer.concat(all).toString();
}

/** Every file below a folder with its content, and every other thing with what it is: to compare before and after. */
export async function snapshot(directory: string): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>();
  for (const name of (await readdir(directory, { recursive: true })).toSorted()) {
    const stats = await lstat(join(directory, name));
    if (stats.isFile()) found.set(name, (await readFile(join(directory, name))).toString('base64'));
    else found.set(name, stats.isDirectory() ? 'folder' : 'other');
  }
  return found;
}

/** The files of a store that hold a text in clear. */
export async function filesWith(directory: string, needle: string): Promise<string[]> {
  const found: string[] = [];
  for (const [name, content] of await snapshot(directory))
    if (Buffer.from(content, 'base64').includes(needle)) found.push(name);
  return found;
}
