/** Which password verifier the clients of a server need. */
export type Engine = 'postgresql' | 'mysql' | 'mongodb' | 'redis' | 'rabbitmq';

/** What a client may do on a server: look users up, own a database, read and write the shared one, read metrics. */
export type Grants = 'auth-query' | 'own-database' | 'application' | 'monitor';

/** One field of a secret: a fixed name, or a generated value. */
export type FieldDefinition =
  | { readonly name: string; readonly fixed: string }
  | {
      readonly name: string;
      /** `password`: letters and digits, 32 unless given. `base64url-key`: 32 random bytes, as programs want keys. */
      readonly generate: 'password' | 'base64url-key';
      readonly length?: number;
      /** Whether a rotation without a named field changes it. */
      readonly rotates: boolean;
    };

/** A user of this role on another role's server: the server keeps a verifier of its password. */
export interface ClientDefinition {
  readonly server: string;
  readonly usernameField: string;
  readonly passwordField: string;
  readonly grants: Grants;
}

/** The secret of one role at `secret/services/<role>`. */
export interface SecretDefinition {
  readonly role: string;
  /** Set where the role is a server that others log in to. */
  readonly engine?: Engine;
  readonly fields: readonly FieldDefinition[];
  readonly clients: readonly ClientDefinition[];
}

const fixed = (name: string, value: string): FieldDefinition => ({ name, fixed: value });
const password = (name = 'password'): FieldDefinition => ({ name, generate: 'password', rotates: true });
const key = (name: string, length = 64): FieldDefinition => ({ name, generate: 'password', length, rotates: false });
const client = (server: string, grants: Grants, prefix = ''): ClientDefinition => ({
  server,
  grants,
  usernameField: `${prefix}username`,
  passwordField: `${prefix}password`,
});

const exporter = (server: string, username: string): SecretDefinition => ({
  role: `${server}-exporter`,
  fields: [fixed('username', username), password()],
  clients: [client(server, 'monitor')],
});

/** Every role that has a secret: its fields, and where it is a user. Roles without one (backup, migrate, operator) are not here. */
export const serviceSecretDefinitions: readonly SecretDefinition[] = [
  {
    role: 'postgres',
    engine: 'postgresql',
    fields: [fixed('username', 'devstack'), password(), fixed('database', 'devstack')],
    clients: [],
  },
  {
    role: 'pgbouncer',
    fields: [fixed('username', 'pgbouncer'), password()],
    clients: [client('postgres', 'auth-query')],
  },
  {
    role: 'mysql',
    engine: 'mysql',
    fields: [fixed('username', 'devstack'), password(), password('root_password'), fixed('database', 'devstack')],
    clients: [],
  },
  {
    role: 'mongodb',
    engine: 'mongodb',
    fields: [
      fixed('username', 'devstack'),
      password(),
      fixed('database', 'devstack'),
      fixed('postgres_username', 'ferretdb'),
      password('postgres_password'),
      fixed('postgres_database', 'ferretdb'),
    ],
    clients: [client('postgres', 'own-database', 'postgres_')],
  },
  { role: 'redis', engine: 'redis', fields: [fixed('username', 'default'), password()], clients: [] },
  {
    role: 'rabbitmq',
    engine: 'rabbitmq',
    fields: [fixed('username', 'devstack'), password(), key('erlang_cookie', 32)],
    clients: [],
  },
  {
    role: 'forgejo',
    fields: [
      fixed('username', 'devstack-admin'),
      password(),
      fixed('email', 'devstack-admin@devstack.localhost'),
      key('secret_key'),
      key('internal_token', 105),
      { name: 'jwt_secret', generate: 'base64url-key', rotates: false },
      fixed('postgres_username', 'forgejo'),
      password('postgres_password'),
      fixed('postgres_database', 'forgejo'),
    ],
    clients: [client('postgres', 'own-database', 'postgres_')],
  },
  {
    role: 'reference-api',
    fields: [
      fixed('postgres_username', 'reference_api'),
      password('postgres_password'),
      fixed('postgres_database', 'devstack'),
      fixed('mysql_username', 'reference_api'),
      password('mysql_password'),
      fixed('mysql_database', 'devstack'),
      fixed('mongodb_username', 'reference_api'),
      password('mongodb_password'),
      fixed('mongodb_database', 'devstack'),
      fixed('redis_username', 'reference-api'),
      password('redis_password'),
      fixed('rabbitmq_username', 'reference-api'),
      password('rabbitmq_password'),
    ],
    clients: [
      client('postgres', 'application', 'postgres_'),
      client('mysql', 'application', 'mysql_'),
      client('mongodb', 'application', 'mongodb_'),
      client('redis', 'application', 'redis_'),
      client('rabbitmq', 'application', 'rabbitmq_'),
    ],
  },
  exporter('postgres', 'postgres_exporter'),
  exporter('mysql', 'mysql_exporter'),
  exporter('mongodb', 'mongodb_exporter'),
  exporter('redis', 'redis-exporter'),
];
