import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { cp, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { BackupStore } from '@devstack-core/backup-store';
import { ensurePrivateDirectory, openJournal, writeFileDurable } from '@devstack-core/durable-files';
import { DevstackError, isDevstackError } from '@devstack-core/errors';
import { bringUp, withStackLease, type OnEvent, type Stack } from '@devstack-core/stack-lifecycle';
import type { VaultClient } from '@devstack-core/vault-client';
import { readKeys, readRootToken, restoreVault, snapshotVault, unsealVault } from '@devstack-core/vault-lifecycle';
import { StackBackupErrorCode } from './errors.ts';
import { replaceFolders } from './replace-files.ts';
import { refuseOtherShares } from './restore-vault-step.ts';
import { bytesOf, partOf, unpackPart } from './set-files.ts';

/** The folders of a project that belong to its Vault. */
const folders = ['vault', 'approles', 'certificates'] as const;

/** Which set's Vault to bring back. */
export interface RestoreVaultAloneOptions {
  readonly id: string;
  readonly onEvent?: OnEvent | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Replaces the data of a running Vault, with its keys, logins and certificates, by those of a set, and starts the stack's services with them.
 * A snapshot of the Vault that was there and its files are kept. Cut off or failed, the next call goes on, with this set or another one, and
 * keeps what the first one kept. Throws VAULT_RESTORE_UNFINISHED, VAULT_OTHER_SHARES, LEASE_HELD, what Vault and the store throw.
 */
export async function restoreVaultAlone(
  stack: Stack,
  store: BackupStore,
  options: RestoreVaultAloneOptions,
): Promise<{ readonly keptAt: string }> {
  const { signal } = options;
  return withStackLease(stack, { owner: 'devstack vault restore', signal }, () => restoreHeld(stack, store, options));
}

async function restoreHeld(
  stack: Stack,
  store: BackupStore,
  { id, onEvent, signal }: RestoreVaultAloneOptions,
): Promise<{ readonly keptAt: string }> {
  const manifest = await store.read(id);
  const withSignal = signal === undefined ? {} : { signal };
  const snapshot = await bytesOf(store.open(id, partOf(manifest, 'vault', 'raft').artifact, withSignal));
  const folder = stack.project.configDirectory;
  const work = join(dirname(folder), '.recovery');
  await ensurePrivateDirectory(work);
  const staging = join(work, `${stack.project.id}.vault-restore`);
  await using journal = await openJournal({ path: `${staging}.journal` });
  const known = journal.data('keeping') as Begun | undefined;
  const begun = known ?? {
    keptAt: join(work, `${stack.project.id}.vault-before-${id}-${randomBytes(3).toString('hex')}`),
    running: await runningServices(stack),
  };
  const { keptAt, running } = begun;
  try {
    const unpacked = await unpackPart(store, manifest, {
      service: 'vault',
      part: 'vault',
      directory: staging,
      ...withSignal,
    });
    refuseOtherShares(
      await readKeys({ directory: join(unpacked, 'vault') }),
      await readKeys({ directory: known === undefined ? stack.directories.vault : join(keptAt, 'vault') }),
    );
    if (known === undefined) {
      // Whole before the journal names it: what is named is what was there, and is never made anew.
      await keep(stack, `${staging}.keeping`, `Vault as it was before the backup ${id} was restored.\n`);
      await rename(`${staging}.keeping`, keptAt);
      await journal.done('keeping', begun);
    }
    // Of the Vault that was there, and, cut off later, already of the one to come.
    const client = await open(stack, [join(keptAt, 'vault'), join(unpacked, 'vault'), stack.directories.vault]);
    await restoreVault({ client, data: snapshot, force: true });
    await replaceFolders(unpacked, folder, folders);
    // Made and delivered anew for the roots that are trusted now.
    for (const file of ['state/delivered.json', 'state/bootstrap.json', 'certificates/vault-server.pem'])
      await rm(join(folder, file), { force: true });
    await unsealVault({ client: stack.vault(), directory: stack.directories.vault });
    await bringUp(stack, { services: running, signal, ...(onEvent === undefined ? {} : { onEvent }) });
  } catch (error) {
    if (journal.data('keeping') === undefined || isDevstackError(error, 'INTERRUPTED')) throw error;
    throw unfinished(id, keptAt, error);
  } finally {
    // The set's keys in the clear.
    await rm(staging, { recursive: true, force: true });
  }
  await journal.reset();
  return { keptAt };
}

interface Begun {
  readonly keptAt: string;
  readonly running: readonly string[];
}

async function runningServices(stack: Stack): Promise<readonly string[]> {
  const containers = await (await stack.engine()).listContainers({ project: stack.project.id });
  return containers.flatMap(({ service }) => service ?? []);
}

async function keep(stack: Stack, keptAt: string, readme: string): Promise<void> {
  await rm(keptAt, { recursive: true, force: true });
  await ensurePrivateDirectory(keptAt);
  const client = stack.vault(await readRootToken({ directory: stack.directories.vault }));
  await snapshotVault({ client, file: join(keptAt, 'raft.snap') });
  for (const name of folders.filter((one) => existsSync(join(stack.project.configDirectory, one))))
    await cp(join(stack.project.configDirectory, name), join(keptAt, name), {
      recursive: true,
      preserveTimestamps: true,
    });
  await writeFileDurable(join(keptAt, 'README'), readme);
}

/** As root, unsealed where need be, with the first of these keys that fit. */
async function open(stack: Stack, directories: readonly string[]): Promise<VaultClient> {
  let reason: unknown;
  for (const directory of directories) {
    try {
      await unsealVault({ client: stack.vault(), directory });
      const client = stack.vault(await readRootToken({ directory }));
      await client.lookupSelf();
      return client;
    } catch (error) {
      if (!isDevstackError(error) || !otherKeys.includes(error.code)) throw error;
      reason = error;
    }
  }
  throw reason;
}

const otherKeys = ['VAULT_KEYS_FOREIGN', 'VAULT_KEYS_LOST', 'VAULT_BAD_CREDENTIALS', 'VAULT_PERMISSION_DENIED'];

function unfinished(id: string, keptAt: string, cause: unknown): DevstackError {
  return new DevstackError({
    code: StackBackupErrorCode.vaultUnfinished,
    message: `The Vault of the backup ${id} is not all there yet: ${cause instanceof Error ? cause.message : String(cause)}`,
    hint: `Run the same command again: it goes on. Vault as it was (raft.snap, keys, logins, certificates) is in ${keptAt}`,
    cause,
    details: { keptAt },
  });
}
