import { DevstackError } from '@devstack-core/errors';
import { secret, type Secret } from '@devstack-core/redaction';
import { ServiceInitErrorCode } from './errors.ts';
import type { ServiceClient, ServiceInitContext } from './service-init.ts';

/** A field of the service's own secret. Throws `SECRET_FIELD_MISSING` when it is absent or empty. */
export function secretField(context: Pick<ServiceInitContext, 'role' | 'secrets'>, field: string): Secret {
  const value = context.secrets[field];
  if (value === undefined || value.reveal() === '') {
    throw new DevstackError({
      code: ServiceInitErrorCode.secretFieldMissing,
      message: `secret/services/${context.role} has no field "${field}".`,
      hint: 'Run "devstack vault bootstrap": it adds fields that are missing and keeps the others.',
      details: { role: context.role, field },
    });
  }
  return value;
}

/** A field that is a name (user, database): public, but it must not break out of a configuration file. */
export function nameField(context: Pick<ServiceInitContext, 'role' | 'secrets'>, field: string): string {
  const value = secretField(context, field).reveal();
  if (!/^[A-Za-z0-9_.@-]{1,63}$/.test(value)) {
    throw new DevstackError({
      code: ServiceInitErrorCode.secretFieldMissing,
      message: `Field "${field}" of secret/services/${context.role} is not a usable name.`,
      hint: 'Use 1 to 63 letters, digits and _ . @ -',
      details: { role: context.role, field },
    });
  }
  return value;
}

/** The entries of `secret/services/<role>/clients`, sorted by username. Throws `CLIENT_INVALID` naming the user, never the value. */
export function parseClients(role: string, fields: Readonly<Record<string, Secret>>): readonly ServiceClient[] {
  return Object.keys(fields)
    .sort()
    .map((username) => parseClient(role, username, fields[username]?.reveal() ?? ''));
}

function parseClient(role: string, username: string, text: string): ServiceClient {
  const invalid = (why: string): DevstackError =>
    new DevstackError({
      code: ServiceInitErrorCode.clientInvalid,
      message: `Client "${username}" in secret/services/${role}/clients ${why}.`,
      hint: 'Run "devstack vault bootstrap": it writes the entries of clients anew.',
      details: { role, username },
    });
  if (!/^[A-Za-z0-9_.@-]{1,63}$/.test(username)) throw invalid('has a name that no server takes');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw invalid('is not JSON');
  }
  if (typeof value !== 'object' || value === null) throw invalid('is not an object');
  const { verifier, password, role: clientRole, grants } = value as Record<string, unknown>;
  if (typeof clientRole !== 'string' || typeof grants !== 'string') throw invalid('lacks "role" or "grants"');
  if (typeof verifier !== 'string' && typeof password !== 'string')
    throw invalid('has neither "verifier" nor "password"');
  return {
    username,
    ...(typeof verifier === 'string' ? { verifier: secret(verifier) } : {}),
    ...(typeof password === 'string' ? { password: secret(password) } : {}),
    role: clientRole,
    grants,
  };
}
