import { ensurePrivateDirectory, removeDurable } from '@devstack-core/durable-files';
import { DevstackError, isDevstackError } from '@devstack-core/errors';
import type { InitResult, SealStatus, VaultClient } from '@devstack-core/vault-client';
import { VaultLifecycleErrorCode } from './errors.ts';
import type { OnVaultLifecycleEvent } from './events.ts';
import {
  findKeys,
  hasIntent,
  keyFilePaths,
  releaseRoom,
  reserveRoom,
  writeIntent,
  writeKeys,
  writeRootToken,
} from './key-files.ts';

export interface InitializeVaultOptions {
  readonly client: VaultClient;
  /** A private folder for this Vault alone; made where it is missing. */
  readonly directory: string;
  /** Default 5. */
  readonly shares?: number;
  /** Default 3. */
  readonly threshold?: number;
  /** True when the caller has evidence that this Vault was in use (AppRole files, for example): it is then never given up. */
  readonly bootstrapped?: boolean;
  readonly onEvent?: OnVaultLifecycleEvent;
  readonly now?: () => Date;
}

export interface InitializeVaultResult {
  readonly outcome: 'initialized' | 'already';
  readonly keysFile: string;
}

/**
 * Initialises a new Vault and saves its keys, or finds that both was done. A marker is on the disk before Vault commits, and goes only when
 * the keys are there: whatever is killed when, it is known afterwards whether anything can be lost.
 *
 * Throws `VAULT_KEYS_NEVER_SAVED` (details `safeToStartOver: true`: wipe Vault's data and call again), `VAULT_KEYS_LOST`,
 * `VAULT_KEYS_DAMAGED`, `VAULT_KEYS_FOREIGN`, `VAULT_BAD_SHARES`, `FILE_TOO_OPEN`, `DISK_FULL`.
 */
export async function initializeVault(options: InitializeVaultOptions): Promise<InitializeVaultResult> {
  const { directory } = options;
  const keysFile = keyFilePaths(directory).keys;
  await ensurePrivateDirectory(directory);
  const keys = await findKeys(directory);
  const status = await statusOf(options, keys !== undefined);

  if (status.initialized) {
    if (keys === undefined) throw await keysMissing(options, status);
    if (keys.shares !== status.shares || keys.threshold !== status.threshold) {
      throw foreign(
        keysFile,
        `it holds ${String(keys.threshold)} of ${String(keys.shares)} keys and this Vault wants ${String(status.threshold)} of ${String(status.shares)}`,
      );
    }
    await finish(directory);
    return { outcome: 'already', keysFile };
  }
  if (keys !== undefined) throw foreign(keysFile, 'this Vault is new and has no keys yet');

  await initialize(options);
  return { outcome: 'initialized', keysFile };
}

async function statusOf(options: InitializeVaultOptions, hasKeys: boolean): Promise<SealStatus> {
  try {
    return await options.client.sealStatus();
  } catch (error) {
    const isHalf = isDevstackError(error) && error.details['reason'] === 'half-initialized';
    if (!isHalf || hasKeys || !(await hasIntent(options.directory)) || options.bootstrapped === true) throw error;
    throw neverSaved(options.directory);
  }
}

async function initialize(options: InitializeVaultOptions): Promise<void> {
  const { client, directory, shares = 5, threshold = 3, onEvent, now = () => new Date() } = options;
  refuseBadNumbers(shares, threshold);
  const created = now().toISOString();
  await reserveRoom(directory);
  await onEvent?.({ type: 'init-prepared' });
  await writeIntent(directory, { address: client.address, shares, threshold, created });
  await onEvent?.({ type: 'init-intent-written' });

  const result = await commit(options, shares, threshold);
  await onEvent?.({ type: 'init-committed', shares, threshold });

  await releaseRoom(directory);
  // The token first: the keys are the point from which on nothing can be lost.
  await writeRootToken(directory, result.rootToken);
  await onEvent?.({ type: 'root-token-written' });
  await writeKeys(directory, { version: 1, shares, threshold, keys: result.keys, created });
  await onEvent?.({ type: 'keys-written', path: keyFilePaths(directory).keys });
  await finish(directory);
  await onEvent?.({ type: 'init-finished' });
}

async function commit(
  { client, directory }: InitializeVaultOptions,
  shares: number,
  threshold: number,
): Promise<InitResult> {
  try {
    const result = await client.init({ shares, threshold });
    if (result.keys.length === shares && result.rootToken.reveal() !== '') return result;
  } catch (error) {
    // The marker goes only where Vault is known not to have begun: it must not vouch for an initialisation that someone else does later.
    if (isDevstackError(error) && isCertainlyNotBegun(error)) await finish(directory);
    if (isDevstackError(error, 'VAULT_ALREADY_INITIALIZED'))
      throw lost(directory, 'someone else initialised this Vault in the same moment');
    throw error;
  }
  throw new DevstackError({
    code: VaultLifecycleErrorCode.initIncomplete,
    message: `Vault initialised itself but did not give ${String(shares)} keys and a root token.`,
    hint: 'Wipe its data and start over: nothing is stored in it yet.',
    details: { safeToStartOver: true },
  });
}

// A refusal is no proof: with a full disk Vault answers 400 after it has stored half of itself.
function isCertainlyNotBegun(error: DevstackError): boolean {
  return error.code === 'VAULT_ALREADY_INITIALIZED' || error.details['outcome'] === 'not-sent';
}

function refuseBadNumbers(shares: number, threshold: number): void {
  const valid =
    Number.isInteger(shares) && Number.isInteger(threshold) && shares <= 255 && threshold >= 1 && threshold <= shares;
  if (valid && (threshold > 1 || shares === 1)) return;
  throw new DevstackError({
    code: VaultLifecycleErrorCode.badShares,
    message: `Vault cannot make ${String(shares)} keys of which ${String(threshold)} open it.`,
    hint: 'Take at most 255 keys, and from two keys on a threshold between 2 and their number.',
    details: { shares, threshold, usage: true },
  });
}

/** Also after a kill in an earlier run. Removing the marker syncs the folder, so the keys' own entry is on the disk, too. */
async function finish(directory: string): Promise<void> {
  await releaseRoom(directory);
  await removeDurable(keyFilePaths(directory).intent);
}

async function keysMissing(
  { directory, bootstrapped }: InitializeVaultOptions,
  status: SealStatus,
): Promise<DevstackError> {
  const { keys: path } = keyFilePaths(directory);
  if (!(await hasIntent(directory))) return lost(directory, `${path} is not there`);
  // Somebody unsealed it or worked with it, so somebody has the keys.
  if (!status.sealed) return lost(directory, `${path} is not there, but the Vault is unsealed`);
  if (bootstrapped === true) return lost(directory, `${path} is not there, but this Vault has been in use`);
  return neverSaved(directory);
}

function neverSaved(directory: string): DevstackError {
  const { keys: path, intent } = keyFilePaths(directory);
  return new DevstackError({
    code: VaultLifecycleErrorCode.keysNeverSaved,
    message: 'The first initialisation of this Vault was cut off before its keys could be saved.',
    hint: "It was never used, so nothing is lost: wipe this Vault's data and start over.",
    details: { safeToStartOver: true, path, intent },
  });
}

function lost(directory: string, why: string): DevstackError {
  const { keys: path } = keyFilePaths(directory);
  return new DevstackError({
    code: VaultLifecycleErrorCode.keysLost,
    message: `This Vault is initialised and its unseal keys are lost: ${why}.`,
    hint: `Put keys.json back from your copy of it to ${path}. Without it the data cannot be read by anyone; a reset makes a new, empty Vault.`,
    details: { path, safeToStartOver: false },
  });
}

function foreign(path: string, why: string): DevstackError {
  return new DevstackError({
    code: VaultLifecycleErrorCode.keysForeign,
    message: `${path} belongs to another Vault: ${why}.`,
    hint: 'Move keys.json and root-token to a safe place (a backup of the other Vault needs them), then run it again; or put the right ones back.',
    details: { path },
  });
}
