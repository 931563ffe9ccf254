import { setTimeout as sleep } from 'node:timers/promises';
import { DevstackError, isDevstackError } from '@devstack-core/errors';
import type { SealStatus, VaultClient } from '@devstack-core/vault-client';
import { VaultLifecycleErrorCode } from './errors.ts';
import type { OnVaultLifecycleEvent } from './events.ts';
import { findKeys, keyFilePaths, readKeys, writeKeys, type VaultKeys } from './key-files.ts';

export interface UnsealVaultOptions {
  readonly client: VaultClient;
  readonly directory: string;
  /** How long Vault may take to become active afterwards. Default 30 000. */
  readonly activeWithinMs?: number;
  readonly onEvent?: OnVaultLifecycleEvent;
}

/** Where a Vault stands. */
export interface VaultSealState {
  readonly state: 'new' | 'sealed' | 'unsealed';
  readonly version: string;
  readonly storageType: string;
  readonly shares: number;
  readonly threshold: number;
  readonly progress: number;
  readonly clusterId?: string;
}

/** Asks without a token. Throws `VAULT_UNREACHABLE`. */
export async function sealState(client: VaultClient): Promise<VaultSealState> {
  const { initialized, sealed, clusterName: _name, ...rest } = await client.sealStatus();
  return { state: initialized ? (sealed ? 'sealed' : 'unsealed') : 'new', ...rest };
}

/**
 * Unseals a Vault with the keys in `keys.json` and waits until it is active. Throws `VAULT_UNINITIALIZED`, `VAULT_KEYS_LOST`,
 * `VAULT_KEYS_DAMAGED`, `VAULT_KEYS_FOREIGN` (of another Vault), `FILE_TOO_OPEN`, `VAULT_NOT_ACTIVE`.
 */
export async function unsealVault(options: UnsealVaultOptions): Promise<{ readonly outcome: 'unsealed' | 'already' }> {
  const { client, directory } = options;
  const before = await client.sealStatus();
  if (!before.initialized) {
    throw new DevstackError({
      code: 'VAULT_UNINITIALIZED',
      message: `Vault at ${client.address} is not initialised.`,
      hint: 'Initialise it first.',
    });
  }
  if (!before.sealed) {
    // Its data is readable without keys, so keys that are missing are no obstacle; keys of another Vault are a mistake to be told.
    const keys = await findKeys(directory);
    if (keys !== undefined) refuseForeign(directory, keys, before);
    await waitUntilActive(options);
    return { outcome: 'already' };
  }
  const keys = await readKeys({ directory });
  refuseForeign(directory, keys, before);
  await giveKeys(options, keys);
  await options.onEvent?.({ type: 'unsealed' });
  await waitUntilActive(options);
  await options.onEvent?.({ type: 'active' });
  await remember(client, directory, keys);
  return { outcome: 'unsealed' };
}

async function giveKeys({ client, directory, onEvent }: UnsealVaultOptions, keys: VaultKeys): Promise<void> {
  let first = true;
  for (const [index, key] of keys.keys.slice(0, keys.threshold).entries()) {
    try {
      // An earlier attempt that was cut off may have left keys behind.
      const { sealed } = await client.unseal(key, { reset: first });
      first = false;
      await onEvent?.({ type: 'unseal-progress', given: index + 1, threshold: keys.threshold });
      if (!sealed) return;
    } catch (error) {
      if (!isDevstackError(error, 'VAULT_BAD_CREDENTIALS')) throw error;
      throw foreign(directory, 'it does not open with these keys');
    }
  }
  throw foreign(directory, 'it is still sealed after all of these keys');
}

async function waitUntilActive({ client, activeWithinMs = 30_000 }: UnsealVaultOptions): Promise<void> {
  const started = performance.now();
  for (let pauseMs = 10; ; pauseMs = Math.min(pauseMs * 2, 250)) {
    const { sealed, standby } = await client.health();
    if (!sealed && !standby) return;
    if (performance.now() - started > activeWithinMs) {
      throw new DevstackError({
        code: VaultLifecycleErrorCode.notActive,
        message: `Vault is ${sealed ? 'sealed again' : 'unsealed but still standby'} ${(activeWithinMs / 1000).toFixed(0)} s after its unseal.`,
        hint: 'Look at the log of the Vault container: storage that cannot be written is the usual reason.',
        details: { sealed, standby },
      });
    }
    await sleep(pauseMs);
  }
}

/** From its first unseal on the keys know their Vault by name. */
async function remember(client: VaultClient, directory: string, keys: VaultKeys): Promise<void> {
  const { clusterId } = await client.sealStatus();
  if (clusterId === undefined || keys.clusterId === clusterId) return;
  await writeKeys(directory, { ...keys, clusterId });
}

function refuseForeign(directory: string, keys: VaultKeys, status: SealStatus): void {
  if (keys.shares !== status.shares || keys.threshold !== status.threshold) {
    throw foreign(
      directory,
      `it holds ${String(keys.threshold)} of ${String(keys.shares)} keys and this Vault wants ${String(status.threshold)} of ${String(status.shares)}`,
    );
  }
  if (status.clusterId !== undefined && keys.clusterId !== undefined && status.clusterId !== keys.clusterId) {
    throw foreign(directory, `it is for cluster ${keys.clusterId} and this is ${status.clusterId}`);
  }
}

function foreign(directory: string, why: string): DevstackError {
  const { keys: path } = keyFilePaths(directory);
  return new DevstackError({
    code: VaultLifecycleErrorCode.keysForeign,
    message: `${path} belongs to another Vault: ${why}.`,
    hint: 'Put the keys.json of this Vault back, or check that the address and the project are the ones you mean.',
    details: { path },
  });
}
