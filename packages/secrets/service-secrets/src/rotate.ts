import { randomBytes } from 'node:crypto';
import { DevstackError } from '@devstack-core/errors';
import { serviceSecretDefinitions, type FieldDefinition, type SecretDefinition } from './definitions.ts';
import { refreshClients } from './ensure.ts';
import { ServiceSecretsErrorCode } from './errors.ts';
import { generateValue, type RandomBytes } from './generate.ts';
import { readServiceSecret, secretPath } from './read.ts';
import { update, type Fields, type KvClient } from './update.ts';

/** What to rotate. */
export interface RotateServiceSecretOptions {
  /** A client whose token may read and write `secret/data/services/*`. */
  readonly client: KvClient;
  readonly role: string;
  /** One generated field; every password of the role unless given (keys such as `jwt_secret` only by name). */
  readonly field?: string;
  readonly random?: RandomBytes;
  readonly definitions?: readonly SecretDefinition[];
}

/** What was rotated, and who has to notice. */
export interface RotationReport {
  readonly role: string;
  readonly fields: readonly string[];
  readonly version: number;
  /** Servers whose `…/clients` changed: they take the new verifier at their next start, before the role's own services log in again. */
  readonly servers: readonly string[];
}

/**
 * Gives fields of a role new values, as one new version, and then the servers it logs in to the matching verifiers. When it is cut off in
 * between, `ensureServiceSecrets` brings the verifiers up to date. Throws `SECRET_ROLE_UNKNOWN`, `SECRET_FIELD_UNKNOWN`, `SERVICE_SECRET_MISSING`.
 */
export async function rotateServiceSecret(options: RotateServiceSecretOptions): Promise<RotationReport> {
  const { client, role, random = randomBytes, definitions = serviceSecretDefinitions } = options;
  const definition = definitionOf(definitions, role);
  const fields = fieldsToRotate(definition, options.field);
  const written = await update(client, secretPath(role), (existing) => {
    if (existing === undefined) throw missing(role);
    const fresh = Object.fromEntries(fields.map((field) => [field.name, generateValue(field, random)]));
    return Promise.resolve({ ...existing, ...fresh });
  });
  const names = fields.map((field) => field.name);
  const servers = definition.clients.filter((user) => names.includes(user.passwordField)).map((user) => user.server);
  await refreshClients({
    client,
    servers,
    definitions,
    secrets: await secretsOfClients(client, definitions, servers, new Map([[role, written.fields]])),
  });
  return { role, fields: names, version: written.version, servers };
}

function definitionOf(definitions: readonly SecretDefinition[], role: string): SecretDefinition {
  const found = definitions.find((definition) => definition.role === role);
  if (found !== undefined) return found;
  throw new DevstackError({
    code: ServiceSecretsErrorCode.roleUnknown,
    message: `Role "${role}" has no secret of its own.`,
    hint: `Roles with one: ${definitions.map((definition) => definition.role).join(', ')}.`,
    details: { role },
  });
}

function fieldsToRotate(definition: SecretDefinition, name: string | undefined): readonly FieldDefinition[] {
  const generated = definition.fields.filter((field) => 'generate' in field);
  if (name === undefined) return generated.filter((field) => field.rotates);
  const field = generated.find((candidate) => candidate.name === name);
  if (field !== undefined) return [field];
  throw new DevstackError({
    code: ServiceSecretsErrorCode.fieldUnknown,
    message: `Role "${definition.role}" has no generated field "${name}".`,
    hint: `Fields that can be rotated: ${generated.map((candidate) => candidate.name).join(', ')}.`,
    details: { role: definition.role, field: name },
  });
}

function missing(role: string): DevstackError {
  return new DevstackError({
    code: ServiceSecretsErrorCode.missing,
    message: `secret/services/${role} does not exist, so there is nothing to rotate.`,
    hint: 'Run the bootstrap first: it makes the secret.',
    details: { role },
  });
}

/** The other users of the same servers: their entries stay only when they are known to be right. */
async function secretsOfClients(
  client: KvClient,
  definitions: readonly SecretDefinition[],
  servers: readonly string[],
  known: ReadonlyMap<string, Fields>,
): Promise<ReadonlyMap<string, Fields>> {
  const roles = definitions
    .filter((definition) => !known.has(definition.role))
    .filter((definition) => definition.clients.some((user) => servers.includes(user.server)))
    .map((definition) => definition.role);
  const read = await Promise.all(roles.map(async (role) => [role, await readServiceSecret(client, role)] as const));
  return new Map([
    ...known,
    ...read.flatMap(([role, fields]) => (fields === undefined ? [] : [[role, fields] as const])),
  ]);
}
