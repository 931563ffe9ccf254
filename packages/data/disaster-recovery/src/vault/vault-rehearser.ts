import { cp, mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import {
  filesSource,
  type FilesPlace,
  type Rehearsal,
  type Rehearser,
  type StoredPart,
  type Throwaway,
  type ThrowawayOptions,
} from '@devstack-core/database-backup';
import { DevstackError, isDevstackError } from '@devstack-core/errors';
import type { VaultClient } from '@devstack-core/vault-client';
import { readKeys, readRootToken, restoreVault, unsealVault } from '@devstack-core/vault-lifecycle';
import { DisasterRecoveryErrorCode } from '../errors.ts';
import { checkCertificates } from './check-files.ts';
import { fingerprintVault, vaultFingerprintKey } from './fingerprint-vault.ts';
import { startThrowawayVault, type ThrowawayVault } from './throwaway-vault.ts';

/** The files that belong to Vault on this machine: keys, root token, logins, certificates; and its data, a raft snapshot. */
const kinds = { files: 'vault-files', raft: 'vault-raft' } as const;

/**
 * Restores the Vault part of a set for a trial: the files into memory, the snapshot into a throwaway Vault that is initialised with the same
 * shares and threshold, by force, and opened with the set's own keys and root token. The files must hold `vault/keys.json` and
 * `vault/root-token`.
 */
export const vaultRehearser: Rehearser = {
  engines: ['vault'],
  kinds: [kinds.files, kinds.raft],
  async rehearse(options) {
    await using stack = new AsyncDisposableStack();
    const files = stack.use(await filesSource.throwaway(options));
    const trial = new VaultTrial(options, files);
    stack.use(trial);
    const owned = stack.move();
    return {
      restore: (part, content) => trial.restore(part, content),
      fingerprint: (part) => trial.fingerprint(part),
      check: (part) => trial.check(part),
      [Symbol.asyncDispose]: () => owned[Symbol.asyncDispose](),
    } satisfies Rehearsal;
  },
};

class VaultTrial implements AsyncDisposable {
  readonly #options: ThrowawayOptions;
  readonly #files: Throwaway<FilesPlace>;
  #vault: ThrowawayVault | undefined;
  /** Where the files of Vault were restored to. */
  #folder: string | undefined;
  /** With the root token of the set. */
  #root: VaultClient | undefined;

  constructor(options: ThrowawayOptions, files: Throwaway<FilesPlace>) {
    this.#options = options;
    this.#files = files;
  }

  async restore(part: StoredPart, content: AsyncIterable<Uint8Array>): Promise<void> {
    if (part.kind === kinds.files) {
      await filesSource.restore(this.#files, part, content, this.#signal());
      const folder = join(this.#base(), part.name);
      // Read here, so that a set without them is told at once.
      await readKeys({ directory: join(folder, 'vault') });
      await readRootToken({ directory: join(folder, 'vault') });
      this.#folder = folder;
      return;
    }
    const data: Uint8Array[] = [];
    for await (const piece of content) data.push(piece);
    await this.#open(Buffer.concat(data));
  }

  async fingerprint(part: StoredPart): ReturnType<Rehearsal['fingerprint']> {
    if (part.kind === kinds.files) return filesSource.fingerprint(this.#files, part, this.#signal());
    const key = vaultFingerprintKey(await readRootToken({ directory: this.#keys() }));
    return fingerprintVault({ client: this.#opened(), key });
  }

  async check(part: StoredPart): Promise<readonly string[]> {
    if (part.kind === kinds.files) return checkCertificates(this.#folder ?? this.#base());
    const client = this.#opened();
    try {
      await client.lookupSelf();
    } catch (error) {
      if (isDevstackError(error, 'VAULT_PERMISSION_DENIED'))
        return ['The root token of the backup is not one of the Vault in the backup.'];
      throw error;
    }
    const { sealed, standby } = await client.health();
    return sealed || standby ? ['The Vault of the backup did not stay open.'] : [];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#vault?.[Symbol.asyncDispose]();
  }

  // Into a Vault of its own, by the keys of the set.
  async #open(data: Uint8Array): Promise<void> {
    const keys = await readKeys({ directory: this.#keys() });
    const vault = (this.#vault ??= await startThrowawayVault(this.#options));
    const { client } = vault;
    const own = await client.init({ shares: keys.shares, threshold: keys.threshold });
    for (const key of own.keys.slice(0, keys.threshold)) await client.unseal(key);
    await restoreVault({ client: client.withToken(own.rootToken), data, force: true });
    // Unsealing may note something beside the keys, and those are compared later.
    const copy = join(dirname(this.#base()), 'vault-keys');
    await mkdir(copy, { mode: 0o700, recursive: true });
    await cp(this.#keys(), copy, { recursive: true });
    await unsealVault({ client, directory: copy });
    this.#root = client.withToken(await readRootToken({ directory: copy }));
  }

  #keys(): string {
    if (this.#folder !== undefined) return join(this.#folder, 'vault');
    throw unusable('its keys are not in the backup, and without them the snapshot cannot be read by anyone');
  }

  #opened(): VaultClient {
    if (this.#root !== undefined) return this.#root;
    throw unusable('its data was not restored');
  }

  #base(): string {
    const [root] = this.#files.roots;
    if (root === undefined) throw new TypeError('a throwaway place for files has a root');
    return root.path;
  }

  #signal(): { readonly signal?: AbortSignal } {
    return this.#options.signal === undefined ? {} : { signal: this.#options.signal };
  }
}

function unusable(why: string): DevstackError {
  return new DevstackError({
    code: DisasterRecoveryErrorCode.vaultUnusable,
    message: `The Vault of the backup cannot be opened: ${why}.`,
    hint: 'Use a set that holds both Vault parts, the files and the snapshot.',
  });
}
