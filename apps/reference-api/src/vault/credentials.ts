import { DevstackError } from '@devstack-core/errors';
import type { Secret } from '@devstack-core/redaction';
import { ReferenceApiErrorCode } from '../errors.ts';

/** Who this service is at one of its servers. */
export interface Login {
  readonly username: string;
  readonly password: Secret;
}

/** Everything that `secret/services/reference-api` holds. */
export interface Credentials {
  readonly postgres: Login & { readonly database: string };
  readonly mysql: Login & { readonly database: string };
  readonly mongodb: Login & { readonly database: string };
  readonly redis: Login;
  readonly rabbitmq: Login;
}

/** Reads the fields of the secret. Throws `CREDENTIALS_INCOMPLETE`, which names the fields that are missing. */
export function parseCredentials(data: Readonly<Record<string, Secret>>): Credentials {
  const missing: string[] = [];
  const field = (name: string): Secret | undefined => {
    const value = data[name];
    if (value === undefined) missing.push(name);
    return value;
  };
  const login = (prefix: string): { username: string | undefined; password: Secret | undefined } => ({
    username: field(`${prefix}_username`)?.reveal(),
    password: field(`${prefix}_password`),
  });
  const database = (prefix: string): { database: string | undefined } => ({
    database: field(`${prefix}_database`)?.reveal(),
  });
  const credentials = {
    postgres: { ...login('postgres'), ...database('postgres') },
    mysql: { ...login('mysql'), ...database('mysql') },
    mongodb: { ...login('mongodb'), ...database('mongodb') },
    redis: login('redis'),
    rabbitmq: login('rabbitmq'),
  };
  if (missing.length === 0) return credentials as Credentials;
  throw new DevstackError({
    code: ReferenceApiErrorCode.credentialsIncomplete,
    message: `The secret of this service lacks ${missing.join(', ')}.`,
    hint: 'Run the bootstrap: it adds what is missing.',
    details: { missing },
  });
}
