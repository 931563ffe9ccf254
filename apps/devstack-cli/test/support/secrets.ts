import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Secret, type SecretRegistry } from '@devstack-core/redaction';
import { serviceSecretDefinitions, readServiceSecret } from '@devstack-core/service-secrets';
import { loginWithFiles, type VaultSession } from '@devstack-core/vault-approle';
import { createVaultClient, type VaultClient } from '@devstack-core/vault-client';
import type { TestStack } from './test-stack.ts';

/** Vault of a test stack, as the machine reaches it. */
export function vaultOf(stack: TestStack, token?: Secret): VaultClient {
  const isPlain = ['', 'false'].includes(stack.env['DEVSTACK_TLS'] ?? '');
  return createVaultClient({
    address: isPlain ? `http://127.0.0.1:${String(stack.port(8200))}` : `https://127.0.0.1:${String(stack.port(8210))}`,
    ...(isPlain ? {} : { ca: readFileSync(join(stack.folder, 'certificates/ca.crt'), 'utf8') }),
    ...(token === undefined ? {} : { token }),
  });
}

/** The root token of a test stack; its use is seen in the audit log. */
export async function rootToken(stack: TestStack): Promise<Secret> {
  return new Secret((await readFile(join(stack.folder, 'vault/root-token'), 'utf8')).trim());
}

/** Logs in as daily commands do. */
export function operator(stack: TestStack): Promise<VaultSession> {
  return loginWithFiles({ client: vaultOf(stack), directory: join(stack.folder, 'approles/operator') });
}

export type Credentials = Readonly<Record<string, string>>;

/** The secret of every role, in plain text: `{postgres: {username, password, …}, …}`. */
export async function readAllSecrets(stack: TestStack): Promise<Readonly<Record<string, Credentials>>> {
  await using session = await operator(stack);
  const { client } = session;
  const entries = await Promise.all(
    serviceSecretDefinitions.map(async ({ role }) => {
      const fields = Object.entries((await readServiceSecret(client, role)) ?? {});
      return [role, Object.fromEntries(fields.map(([name, value]) => [name, value.reveal()]))] as const;
    }),
  );
  return Object.fromEntries(entries);
}

/** A fingerprint for each value, to compare: a failing assertion prints what it compared. */
export function fingerprints(secrets: Readonly<Record<string, Credentials>>): Readonly<Record<string, Credentials>> {
  return Object.fromEntries(
    Object.entries(secrets).map(([role, fields]) => [
      role,
      Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, fingerprint(value)])),
    ]),
  );
}

function fingerprint(value: string): string {
  return createHash('sha256').update(value).digest('hex').slice(0, 12);
}

/** Everything that must not be seen anywhere: generated values, unseal keys, the root token, each secret_id. */
export async function collectSecrets(stack: TestStack, registry: Pick<SecretRegistry, 'add'>): Promise<number> {
  let count = 0;
  const add = (value: string, label: string): void => {
    registry.add(new Secret(value), label);
    count += 1;
  };
  const secrets = await readAllSecrets(stack);
  for (const definition of serviceSecretDefinitions) {
    for (const field of definition.fields) {
      const value = secrets[definition.role]?.[field.name];
      if ('generate' in field && value !== undefined) add(value, `${definition.role}.${field.name}`);
    }
  }
  add((await rootToken(stack)).reveal(), 'root token');
  const keys = JSON.parse(await readFile(join(stack.folder, 'vault/keys.json'), 'utf8')) as { keys: readonly string[] };
  for (const [index, key] of keys.keys.entries()) add(key, `unseal key ${String(index + 1)}`);
  const approles = join(stack.folder, 'approles');
  for (const service of await readdir(approles)) {
    const path = join(approles, service, 'secret-id');
    if (existsSync(path)) add((await readFile(path, 'utf8')).trim(), `secret_id of ${service}`);
  }
  return count;
}
