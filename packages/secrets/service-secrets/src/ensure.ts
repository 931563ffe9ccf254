import { randomBytes } from 'node:crypto';
import { secret, type Secret } from '@devstack-core/redaction';
import { clientEntry, clientEntryMatches } from './client-entries.ts';
import { serviceSecretDefinitions, type SecretDefinition } from './definitions.ts';
import { generateValue, type RandomBytes } from './generate.ts';
import { clientsPath, secretPath } from './read.ts';
import { update, type Fields, type KvClient } from './update.ts';

/** What to make sure of. */
export interface EnsureServiceSecretsOptions {
  /** A client whose token may read and write `secret/data/services/*`. */
  readonly client: KvClient;
  /** The roles that exist; those without a secret of their own are passed over. */
  readonly roles: readonly string[];
  readonly random?: RandomBytes;
  readonly definitions?: readonly SecretDefinition[];
}

/** What was done, by path below the mount (`services/postgres`, `services/postgres/clients`). */
export interface ServiceSecretsReport {
  /** Written for the first time. */
  readonly created: readonly string[];
  /** Had fields added or verifiers brought up to date. */
  readonly updated: readonly string[];
  /** Left as they were. */
  readonly kept: readonly string[];
}

type Outcome = keyof ServiceSecretsReport;

/**
 * Makes the secret of each role where there is none (check-and-set 0), adds fields that are missing, and keeps every value that is there,
 * a person's own included. Then brings the verifiers that the servers hold in line with their clients' passwords; a verifier that matches
 * stays as it is. Repeatable at any point; two at once end with one result.
 */
export async function ensureServiceSecrets(options: EnsureServiceSecretsOptions): Promise<ServiceSecretsReport> {
  const { client, random = randomBytes, definitions = serviceSecretDefinitions } = options;
  const wanted = definitions.filter((definition) => options.roles.includes(definition.role));
  const secrets = new Map<string, Fields>();
  const own = await Promise.all(
    wanted.map(async (definition) => {
      const { fields, outcome } = await update(client, secretPath(definition.role), (existing) =>
        Promise.resolve(completed(definition, existing, random)),
      );
      secrets.set(definition.role, fields);
      return [secretPath(definition.role), outcome] as const;
    }),
  );
  const held = await refreshClients({ client, definitions: wanted, secrets });
  return report([...own, ...held]);
}

/** Brings `…/clients` of the servers among these definitions in line with the given secrets. */
export async function refreshClients(options: {
  readonly client: KvClient;
  readonly definitions: readonly SecretDefinition[];
  readonly secrets: ReadonlyMap<string, Fields>;
  /** Only these servers; all unless given. */
  readonly servers?: readonly string[];
}): Promise<readonly (readonly [path: string, outcome: Outcome])[]> {
  const servers = options.definitions.filter(
    (definition) =>
      definition.engine !== undefined && (options.servers === undefined || options.servers.includes(definition.role)),
  );
  return Promise.all(
    servers.map(async (server) => {
      const { outcome } = await update(options.client, clientsPath(server.role), (existing) =>
        clientsOf(server, options.definitions, options.secrets, existing),
      );
      return [clientsPath(server.role), outcome] as const;
    }),
  );
}

function completed(
  definition: SecretDefinition,
  existing: Fields | undefined,
  random: RandomBytes,
): Fields | undefined {
  const missing = definition.fields.filter((field) => existing?.[field.name] === undefined);
  if (existing !== undefined && missing.length === 0) return undefined;
  return { ...existing, ...Object.fromEntries(missing.map((field) => [field.name, generateValue(field, random)])) };
}

async function clientsOf(
  server: SecretDefinition,
  definitions: readonly SecretDefinition[],
  secrets: ReadonlyMap<string, Fields>,
  existing: Fields | undefined,
): Promise<Fields | undefined> {
  const entries = new Map<string, Secret | string>();
  let changed = existing === undefined;
  const ours = new Set(definitions.map((definition) => definition.role));
  for (const definition of definitions) {
    for (const user of definition.clients.filter((one) => one.server === server.role)) {
      const fields = secrets.get(definition.role);
      const username = fields?.[user.usernameField];
      const password = fields?.[user.passwordField];
      if (server.engine === undefined || username === undefined || password === undefined) continue;
      const about = { role: definition.role, grants: user.grants };
      const before = existing?.[username.reveal()];
      if (before !== undefined && (await clientEntryMatches(server.engine, password, about, before.reveal()))) {
        entries.set(username.reveal(), before);
      } else {
        entries.set(username.reveal(), await clientEntry(server.engine, password, about));
        changed = true;
      }
    }
  }
  for (const [username, entry] of Object.entries(existing ?? {})) {
    if (entries.has(username)) continue;
    // A user that somebody else added stays; one of ours under an old name goes.
    if (ours.has(roleOf(entry))) changed = true;
    else entries.set(username, entry);
  }
  return changed ? asSecrets(entries) : undefined;
}

function roleOf(entry: Secret): string {
  const found = /"role":"([^"]*)"/.exec(entry.reveal());
  return found?.[1] ?? '';
}

function asSecrets(entries: ReadonlyMap<string, Secret | string>): Record<string, Secret> {
  return Object.fromEntries(
    [...entries].map(([name, value]) => [name, typeof value === 'string' ? secret(value) : value]),
  );
}

function report(outcomes: readonly (readonly [path: string, outcome: Outcome])[]): ServiceSecretsReport {
  const of = (wanted: Outcome): string[] => outcomes.filter(([, outcome]) => outcome === wanted).map(([path]) => path);
  return { created: of('created'), updated: of('updated'), kept: of('kept') };
}
