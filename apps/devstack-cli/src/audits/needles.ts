import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { CredentialNeedle } from '@devstack-core/credential-audit';
import { readPrivateFile } from '@devstack-core/durable-files';
import { isDevstackError } from '@devstack-core/errors';
import { Secret } from '@devstack-core/redaction';
import { serviceSecretDefinitions, type SecretDefinition } from '@devstack-core/service-secrets';
import { operatorSession, type Stack } from '@devstack-core/stack-lifecycle';
import type { VaultClient } from '@devstack-core/vault-client';
import { requireRunning } from './require-running.ts';

// A password that was rotated away still matters where a server was not restarted, or somebody uses it elsewhere.
const olderVersions = 2;

/** Every secret value of a stack: what Vault holds, earlier versions too, the logins, Vault's own keys and what opens the root's key. */
export async function stackNeedles(stack: Stack): Promise<readonly CredentialNeedle[]> {
  await requireRunning(stack, ['vault']);
  await using session = await operatorSession(stack);
  const { client } = session;
  const ofServices = await Promise.all(serviceSecretDefinitions.map((definition) => ofService(client, definition)));
  return [...ofServices.flat(), ...(await ofLogins(stack)), ...(await ofVault(stack))];
}

async function ofService(client: VaultClient, definition: SecretDefinition): Promise<readonly CredentialNeedle[]> {
  const path = `services/${definition.role}`;
  const current = await client.kvRead(path);
  if (current === undefined) return [];
  const older = Array.from({ length: olderVersions }, (_, index) => current.version - 1 - index).filter((n) => n > 0);
  const versions = [current, ...(await Promise.all(older.map((version) => client.kvRead(path, { version }))))];
  // Names of users and databases are no secret and stand everywhere.
  const names = new Set(definition.fields.flatMap((field) => ('fixed' in field ? [field.name] : [])));
  const username = current.data['username']?.reveal();
  return versions.flatMap((one) =>
    Object.entries(one?.data ?? {})
      .filter(([field]) => !names.has(field))
      .map(([field, value]) => ({
        value,
        label: `secret/${path}`,
        field,
        ...(one === undefined ? {} : { version: one.version }),
        ...(field === 'password' && username !== undefined ? { username } : {}),
      })),
  );
}

async function ofLogins(stack: Stack): Promise<readonly CredentialNeedle[]> {
  const services = await readdir(stack.directories.approles);
  const found = await Promise.all(
    services.map(async (service) => {
      const value = await readIfThere(join(stack.directories.approles, service, 'secret-id'));
      return value === undefined ? [] : [{ value, label: `auth/approle/role/${service}`, field: 'secret_id' }];
    }),
  );
  return found.flat();
}

async function ofVault(stack: Stack): Promise<readonly CredentialNeedle[]> {
  const token = await readIfThere(join(stack.directories.vault, 'root-token'));
  const keys = await readIfThere(join(stack.directories.vault, 'keys.json'));
  const passphrase = await readIfThere(join(stack.directories.certificates, 'passphrase'));
  const shares = keys === undefined ? [] : (JSON.parse(keys.reveal()) as { readonly keys?: readonly string[] }).keys;
  return [
    ...(token === undefined ? [] : [{ value: token, label: 'vault', field: 'root token' }]),
    ...(shares ?? []).map((share, index) => ({
      value: new Secret(share),
      label: 'vault',
      field: `unseal key ${String(index + 1)}`,
    })),
    ...(passphrase === undefined ? [] : [{ value: passphrase, label: 'certificates', field: 'passphrase' }]),
  ];
}

async function readIfThere(path: string): Promise<Secret | undefined> {
  try {
    return new Secret((await readPrivateFile(path)).reveal().trim());
  } catch (error) {
    if (isDevstackError(error, 'FILE_MISSING')) return undefined;
    throw error;
  }
}
