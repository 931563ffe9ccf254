import type { Secret } from '@devstack-core/redaction';
import type { VaultClient } from '@devstack-core/vault-client';

/** One user of a server, as `secret/services/<server>/clients` describes it. */
export interface ClientEntry {
  readonly username: string;
  /** The role that logs in as this user. */
  readonly role: string;
  readonly grants: string;
}

/** The path of a role's own secret, without the mount. */
export function secretPath(role: string): string {
  return `services/${role}`;
}

/** The path of what a server knows of its clients. */
export function clientsPath(server: string): string {
  return `services/${server}/clients`;
}

/** The fields of a role's secret; undefined where it was never made. Throws what the client throws. */
export async function readServiceSecret(
  client: Pick<VaultClient, 'kvRead'>,
  role: string,
): Promise<Readonly<Record<string, Secret>> | undefined> {
  return (await client.kvRead(secretPath(role)))?.data;
}

/** Who may log in to a server, without the verifiers; entries that cannot be read are left out. */
export async function readClients(
  client: Pick<VaultClient, 'kvRead'>,
  server: string,
): Promise<readonly ClientEntry[]> {
  const found = (await client.kvRead(clientsPath(server)))?.data ?? {};
  return Object.entries(found).flatMap(([username, value]) => {
    const entry = parsed(value);
    return typeof entry?.['role'] === 'string' && typeof entry['grants'] === 'string'
      ? [{ username, role: entry['role'], grants: entry['grants'] }]
      : [];
  });
}

function parsed(value: Secret): Readonly<Record<string, unknown>> | undefined {
  try {
    const entry: unknown = JSON.parse(value.reveal());
    return typeof entry === 'object' && entry !== null ? (entry as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
