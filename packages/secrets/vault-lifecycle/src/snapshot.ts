import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { gunzipSync } from 'node:zlib';
import { writeFileDurable } from '@devstack-core/durable-files';
import { DevstackError, isDevstackError } from '@devstack-core/errors';
import type { VaultClient } from '@devstack-core/vault-client';
import { VaultLifecycleErrorCode } from './errors.ts';

export interface SnapshotVaultOptions {
  /** With a token that may read `sys/storage/raft/snapshot`. */
  readonly client: VaultClient;
  /** Where to write it, 0600. Without it the snapshot is only given back. */
  readonly file?: string;
}

/** What a raft snapshot is. */
export interface VaultSnapshot {
  readonly data: Uint8Array<ArrayBuffer>;
  readonly sizeBytes: number;
  /** Hexadecimal. */
  readonly sha256: string;
  /** The raft index at which it was taken. */
  readonly raftIndex: number;
}

/** Takes a raft snapshot and checks it before it is given out. Its content is encrypted with Vault's own key. Throws `VAULT_SNAPSHOT_DAMAGED`. */
export async function snapshotVault({ client, file }: SnapshotVaultOptions): Promise<VaultSnapshot> {
  const snapshot = checkSnapshot(await client.snapshot());
  if (file !== undefined) await writeFileDurable(file, snapshot.data);
  return snapshot;
}

export interface RestoreVaultOptions {
  /** With a root token of the Vault that is overwritten. */
  readonly client: VaultClient;
  readonly data: Uint8Array;
  /** Accepts the snapshot of another cluster; needed for every restore into a new Vault. */
  readonly force?: boolean;
}

/**
 * Replaces everything in a Vault by a snapshot, after checking it. The snapshot of another Vault needs `force`, and leaves this one sealed:
 * the unseal keys, tokens and secrets are then those of the Vault it was taken from. A new Vault that takes one must have been initialised
 * with the same number of shares and the same threshold. Throws `VAULT_SNAPSHOT_DAMAGED`, `VAULT_SNAPSHOT_FOREIGN` (without `force`).
 */
export async function restoreVault({
  client,
  data,
  force = false,
}: RestoreVaultOptions): Promise<{ readonly sealed: boolean }> {
  const snapshot = checkSnapshot(data).data;
  // Vault itself knows whether its keys open the snapshot, and does nothing when they do not.
  if (await fits(client, snapshot)) {
    await client.lookupSelf();
    return { sealed: false };
  }
  if (!force) {
    throw new DevstackError({
      code: VaultLifecycleErrorCode.snapshotForeign,
      message: 'The snapshot was taken from another Vault: the keys of this one do not open it.',
      hint: 'To replace this Vault by that one, restore with force and unseal with the keys of that one.',
    });
  }
  await client.restoreSnapshot(snapshot, { force });
  // It answers first and seals itself a moment later.
  await untilSealed(client);
  return { sealed: true };
}

async function fits(client: VaultClient, snapshot: Uint8Array): Promise<boolean> {
  try {
    await client.restoreSnapshot(snapshot);
    return true;
  } catch (error) {
    if (isDevstackError(error) && error.details['reason'] === 'other-keys') return false;
    throw error;
  }
}

async function untilSealed(client: VaultClient): Promise<void> {
  const started = performance.now();
  while (!(await client.health()).sealed) {
    if (performance.now() - started > 30_000) {
      throw new DevstackError({
        code: VaultLifecycleErrorCode.notActive,
        message: 'Vault took the snapshot of another Vault and did not seal itself within 30 s.',
        hint: 'Look at its log, restart it, and unseal it with the keys of the other Vault.',
      });
    }
    await sleep(20);
  }
}

/** Verifies the checksums that a snapshot carries (a gzipped tar with SHA256SUMS). Throws `VAULT_SNAPSHOT_DAMAGED`. */
export function checkSnapshot(data: Uint8Array): VaultSnapshot {
  let files: ReadonlyMap<string, Uint8Array>;
  try {
    files = readTar(gunzipSync(data));
  } catch {
    throw damaged('it is not a complete gzip archive');
  }
  const sums = new TextDecoder().decode(files.get('SHA256SUMS') ?? new Uint8Array()).trim();
  const lines = sums.split('\n').map((line) => /^([0-9a-f]{64}) {2}(.+)$/.exec(line.trim()));
  for (const name of ['meta.json', 'state.bin']) {
    const content = files.get(name);
    const expected = lines.find((match) => match?.[2] === name)?.[1];
    if (content === undefined || expected === undefined) throw damaged(`${name} or its checksum is missing`);
    if (createHash('sha256').update(content).digest('hex') !== expected)
      throw damaged(`${name} does not match its checksum`);
  }
  const meta = JSON.parse(new TextDecoder().decode(files.get('meta.json'))) as { Index?: number };
  return {
    data: new Uint8Array(data),
    sizeBytes: data.byteLength,
    sha256: createHash('sha256').update(data).digest('hex'),
    raftIndex: meta.Index ?? 0,
  };
}

/** The plain files of a tar archive (POSIX ustar): a 512-byte header with name and octal size, then the content padded to 512. */
function readTar(archive: Uint8Array): ReadonlyMap<string, Uint8Array> {
  const files = new Map<string, Uint8Array>();
  const field = (from: number, length: number): string =>
    new TextDecoder()
      .decode(archive.subarray(from, from + length))
      .replace(/\0.*$/s, '')
      .trim();
  for (let at = 0; at + 512 <= archive.byteLength && archive[at] !== 0;) {
    const size = Number.parseInt(field(at + 124, 12), 8);
    if (!Number.isSafeInteger(size) || at + 512 + size > archive.byteLength) throw new RangeError('cut off');
    files.set(field(at, 100), archive.subarray(at + 512, at + 512 + size));
    at += 512 + Math.ceil(size / 512) * 512;
  }
  return files;
}

function damaged(why: string): DevstackError {
  return new DevstackError({
    code: VaultLifecycleErrorCode.snapshotDamaged,
    message: `The Vault snapshot is damaged: ${why}.`,
    hint: 'Take it again, or use an earlier one.',
  });
}
