import { compareFingerprints, filesSource, type BackupPart, type EngineIdentity } from '@devstack-core/database-backup';
import { fingerprintVault, vaultFingerprintKey, type FingerprintVaultOptions } from '@devstack-core/disaster-recovery';
import { DevstackError } from '@devstack-core/errors';
import type { Stack } from '@devstack-core/stack-lifecycle';
import type { VaultClient } from '@devstack-core/vault-client';
import { readRootToken, snapshotVault } from '@devstack-core/vault-lifecycle';

/** The kinds of part that Vault is made of: its files on this machine, and its data. */
export const vaultKinds = ['vault-files', 'vault-raft'] as const;

/** What belongs to a run and not to the stack: locks, journals, a recovery that is under way. */
const passing = ['compose.env', 'state/stack.lock', 'state/up.journal'];

/** Vault as parts of a set: keys, root token, logins and certificates as files; its data as a snapshot by the `backup` role. */
export async function* openVaultParts(
  stack: Stack,
  options: {
    readonly client: VaultClient;
    readonly image: EngineIdentity['image'];
    readonly signal?: AbortSignal | undefined;
  },
): AsyncGenerator<BackupPart, void, undefined> {
  const { client, image } = options;
  const { version } = await client.health({ deadlineMs: 0 });
  const engine = { name: 'vault', version, image };
  yield* openVaultFiles(stack, image, options.signal, version);
  // Only the root token sees every secret; it lies beside what is backed up here, and is used for nothing else.
  const token = await readRootToken({ directory: stack.directories.vault });
  yield raftPart(client, { client: stack.vault(token), key: vaultFingerprintKey(token) }, engine);
}

/** Vault's files on this machine alone. */
export async function* openVaultFiles(
  stack: Stack,
  image: EngineIdentity['image'],
  signal: AbortSignal | undefined,
  version = '',
): AsyncGenerator<BackupPart, void, undefined> {
  const roots = [{ name: 'vault', path: stack.project.configDirectory, exclude: passing }];
  const engine = { name: 'vault', version, image };
  for await (const part of filesSource.open({ roots }, signal === undefined ? {} : { signal }))
    yield { ...part, kind: 'vault-files', engine };
}

function raftPart(client: VaultClient, root: FingerprintVaultOptions, engine: EngineIdentity): BackupPart {
  let taken: Uint8Array | undefined;
  return {
    name: 'raft',
    kind: 'vault-raft',
    extension: 'snap',
    engine,
    consistency: 'exact',
    snapshotAt: new Date().toISOString(),
    restoreHint: [
      '# Initialise an empty Vault with the shares and the threshold of keys.json, then: vault operator raft snapshot restore -force FILE',
      '# Unseal it with the keys of keys.json from the part "vault".',
    ],
    async fingerprint() {
      for (let attempt = 0; attempt < 5; attempt += 1) {
        const before = await fingerprintVault(root);
        taken = (await snapshotVault({ client })).data;
        const after = await fingerprintVault(root);
        if (compareFingerprints(before, after).length === 0) return after;
      }
      throw new DevstackError({
        code: 'DUMP_FAILED',
        message: 'Secrets changed again and again while Vault was being copied.',
        hint: 'Wait until nothing writes to Vault, then run the same command again.',
      });
    },
    async *content() {
      yield taken ?? (await snapshotVault({ client })).data;
    },
  };
}
