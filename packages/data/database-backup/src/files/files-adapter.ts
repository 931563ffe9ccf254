import { readdir, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isGone, ownIdentity, type ProcessIdentity } from '@devstack-core/durable-files';
import { abortReason, DevstackError, isDevstackError } from '@devstack-core/errors';
import { DatabaseBackupErrorCode } from '../errors.ts';
import type { BackupPart, EngineAdapter, Fingerprint, FingerprintItem, StoredPart, Throwaway } from '../types.ts';
import type { FilesPlace, FilesRoot } from './files-place.ts';
import { packRoot } from './pack-files.ts';
import { itemOf } from './tar-digest.ts';
import { unpackRoot } from './unpack-files.ts';
import { walk } from './walk.ts';

/**
 * Files and folders of this machine, such as configuration: one part for each root, secret as a whole. A fingerprint has mode, size, content
 * and link target of each file; owners are not in it, as files belong to who restores them. A restore refuses a path where something is.
 */
export const filesSource: EngineAdapter<FilesPlace> = {
  engines: ['files'],
  kinds: ['files'],
  async *open(place, options = {}) {
    for (const root of place.roots) {
      refuseName(root);
      const aborted = abortReason(options.signal, `The backup of ${root.path}`);
      if (aborted !== undefined) throw aborted;
      yield await partOf(root, (options.now ?? (() => new Date()))());
    }
  },
  async restore(place, part, content, options = {}) {
    const root = rootOf(place, part);
    const { entries, bytes } = part.metadata ?? {};
    try {
      await unpackRoot(content, {
        name: root.name,
        target: root.path,
        signal: options.signal,
        ...(typeof entries === 'number' && typeof bytes === 'number' ? { limits: { entries, bytes } } : {}),
      });
    } catch (error) {
      throw failed(
        DatabaseBackupErrorCode.restoreFailed,
        `"${root.name}" could not be restored to ${root.path}`,
        error,
      );
    }
  },
  async fingerprint(place, part) {
    const root = rootOf(place, part);
    const exclude = part.metadata?.['exclude'];
    return fingerprintOf({ ...root, ...(Array.isArray(exclude) ? { exclude: exclude as string[] } : {}) });
  },
  check: () => Promise.resolve([]),
  throwaway: async () => throwawayFolder(),
};

async function partOf(root: FilesRoot, now: Date): Promise<BackupPart> {
  const totals = { entries: 0, bytes: 0 };
  try {
    for await (const { entry } of walk(root)) {
      totals.entries += 1;
      totals.bytes += entry.size;
    }
  } catch (error) {
    throw failed(DatabaseBackupErrorCode.dumpFailed, `${root.path} cannot be backed up`, error);
  }
  let expected: ReadonlyMap<string, string> | undefined;
  return {
    name: root.name,
    kind: 'files',
    extension: 'tar',
    engine: { name: 'files', version: '1', image: { name: '', id: '' } },
    consistency: 'exact',
    snapshotAt: now.toISOString(),
    isSecret: true,
    metadata: { ...totals, exclude: [...(root.exclude ?? [])] },
    restoreHint: [`tar --extract --preserve-permissions --file ${root.name}.tar`, `# It was at ${root.path}.`],
    async fingerprint() {
      const fingerprint = await fingerprintOf(root);
      expected = new Map(fingerprint.items.map((item) => [item.name, item.checksum]));
      return fingerprint;
    },
    async *content() {
      const written = new Map<string, string>();
      try {
        yield* packRoot(root, ({ entry }, sha256) => written.set(entry.path, itemOf(entry, sha256, false).checksum));
      } catch (error) {
        throw failed(DatabaseBackupErrorCode.dumpFailed, `${root.path} cannot be backed up`, error);
      }
      const changed = expected === undefined ? undefined : firstDifference(expected, written);
      if (changed !== undefined)
        throw failed(
          DatabaseBackupErrorCode.dumpFailed,
          `${root.path} cannot be backed up`,
          new Error(`${changed} changed meanwhile`),
        );
    },
  };
}

async function fingerprintOf(root: FilesRoot): Promise<Fingerprint> {
  const items: FingerprintItem[] = [];
  try {
    // The same bytes as in the archive, thrown away.
    for await (const _chunk of packRoot(root, ({ entry }, sha256) => items.push(itemOf(entry, sha256, false))));
  } catch (error) {
    throw failed(DatabaseBackupErrorCode.dumpFailed, `${root.path} cannot be read`, error);
  }
  return { schema: 'devstack/fingerprint/1', items };
}

function firstDifference(a: ReadonlyMap<string, string>, b: ReadonlyMap<string, string>): string | undefined {
  return [...new Set([...a.keys(), ...b.keys()])].find((name) => a.get(name) !== b.get(name));
}

function rootOf(place: FilesPlace, part: StoredPart): FilesRoot {
  const root = place.roots.find(({ name }) => name === part.name);
  // A throwaway place has room for whatever comes.
  const otherwise = place.isThrowaway === true ? place.roots[0] : undefined;
  if (root !== undefined) return root;
  if (otherwise !== undefined) return { name: part.name, path: join(otherwise.path, part.name) };
  throw new DevstackError({
    code: DatabaseBackupErrorCode.placeUnusable,
    message: `There is no place for the files "${part.name}".`,
    hint: `Known are: ${place.roots.map(({ name }) => name).join(', ')}`,
  });
}

function refuseName({ name }: FilesRoot): void {
  if (/^[^/\\:\0]{1,100}$/.test(name) && name !== '.' && name !== '..') return;
  throw new DevstackError({
    code: DatabaseBackupErrorCode.placeUnusable,
    message: `${JSON.stringify(name)} cannot name files: it has to be one segment of a path.`,
  });
}

function failed(code: string, what: string, error: unknown): DevstackError {
  if (isDevstackError(error)) return error;
  const why = error instanceof Error ? error.message : String(error);
  return new DevstackError({
    code,
    message: `${what}: ${why}.`,
    hint: 'Put that right, then run the same command again.',
    cause: error,
  });
}

const prefix = 'devstack-backup-files-';
const ownerFile = '.owner';

// In memory where the machine has that: what is restored for a trial are keys and passwords.
async function throwawayFolder(): Promise<Throwaway<FilesPlace>> {
  const base = (await isFolder('/dev/shm')) ? '/dev/shm' : tmpdir();
  await sweep(base);
  const folder = await mkdtemp(join(base, prefix));
  await writeFile(join(folder, ownerFile), JSON.stringify(ownIdentity()), { mode: 0o600 });
  const root = join(folder, 'roots');
  await mkdir(root, { mode: 0o700 });
  return {
    roots: [{ name: '', path: root }],
    isThrowaway: true,
    [Symbol.asyncDispose]: async () => rm(folder, { recursive: true, force: true }),
  };
}

// What killed runs left.
async function sweep(base: string): Promise<void> {
  for (const name of await readdir(base)) {
    if (!name.startsWith(prefix)) continue;
    try {
      const owner = JSON.parse(await readFile(join(base, name, ownerFile), 'utf8')) as ProcessIdentity;
      if (isGone(owner)) await rm(join(base, name), { recursive: true, force: true });
    } catch {
      // Another user's, or one that is being made.
    }
  }
}

async function isFolder(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch {
    return false;
  }
}
