import { createHmac, hkdfSync } from 'node:crypto';
import type { Fingerprint, FingerprintItem } from '@devstack-core/database-backup';
import { Secret } from '@devstack-core/redaction';
import type { VaultClient } from '@devstack-core/vault-client';

/** What a fingerprint of Vault is read with. */
export type VaultReader = Pick<
  VaultClient,
  | 'listMounts'
  | 'kvList'
  | 'kvRead'
  | 'kvMetadata'
  | 'listPolicies'
  | 'readPolicy'
  | 'listAuth'
  | 'listRoles'
  | 'readRole'
>;

export interface FingerprintVaultOptions {
  /** With the root token: nothing else sees everything. */
  readonly client: VaultReader;
  /** From `vaultFingerprintKey`: without it a checksum of a secret would confirm a guess. */
  readonly key: Secret<Uint8Array>;
}

/** The key of a Vault's fingerprints: both the Vault that is backed up and the one that comes back have its root token. */
export function vaultFingerprintKey(rootToken: Secret): Secret<Uint8Array> {
  const key = hkdfSync('sha256', rootToken.reveal(), '', 'devstack vault fingerprint', 32);
  return new Secret(new Uint8Array(key));
}

/**
 * Every secret of every key-value store (version 2) with its version, every policy and every AppRole role, each with a keyed checksum.
 * Names are as they are; the fingerprint belongs where nobody reads it.
 */
export async function fingerprintVault({ client, key }: FingerprintVaultOptions): Promise<Fingerprint> {
  const digest = (value: unknown): string =>
    createHmac('sha256', key.reveal())
      .update(JSON.stringify(sorted(value)))
      .digest('hex');
  const items: FingerprintItem[] = [];
  for (const [mount, { type, options }] of Object.entries(await client.listMounts())) {
    items.push({ kind: 'mount', name: mount, count: 1, checksum: digest([type, options]) });
    if (type === 'kv' && options['version'] === '2') items.push(...(await secretsOf(client, mount, digest)));
  }
  for (const name of await client.listPolicies())
    items.push({ kind: 'policy', name, count: 1, checksum: digest((await client.readPolicy(name)) ?? '') });
  for (const [mount, { type }] of Object.entries(await client.listAuth())) {
    items.push({ kind: 'auth', name: mount, count: 1, checksum: digest(type) });
    if (type !== 'approle') continue;
    for (const role of await client.listRoles({ mount }))
      items.push({
        kind: 'role',
        name: `${mount}/${role}`,
        count: 1,
        checksum: digest(await client.readRole(role, { mount })),
      });
  }
  return { schema: 'devstack/fingerprint/1', items };
}

async function secretsOf(
  client: VaultReader,
  mount: string,
  digest: (value: unknown) => string,
): Promise<readonly FingerprintItem[]> {
  const items: FingerprintItem[] = [];
  const folders = [''];
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    for (const name of await client.kvList(folder, { mount })) {
      const path = `${folder}${name}`;
      if (name.endsWith('/')) {
        folders.push(path);
        continue;
      }
      const secret = await client.kvRead(path, { mount });
      const version = secret?.version ?? (await client.kvMetadata(path, { mount }))?.currentVersion ?? 0;
      const fields = Object.entries(secret?.data ?? {}).map(([field, value]) => [field, value.reveal()]);
      items.push({
        kind: 'secret',
        name: `${mount}/${path}`,
        count: version,
        // The latest version may be deleted: then there is a version and no content.
        checksum: digest(secret === undefined ? null : Object.fromEntries(fields)),
      });
    }
  }
  return items;
}

/** With the fields of objects in one order. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).map(([name, field]): [string, unknown] => [name, sorted(field)]);
  return entries.toSorted(([a], [b]) => (a < b ? -1 : 1));
}
