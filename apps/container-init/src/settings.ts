import { DevstackError } from '@devstack-core/errors';
import type { LoginMethod } from '@devstack-core/service-init';

/** What the container's environment says; no secret is ever in it. */
export interface Settings {
  readonly service: string;
  readonly role: string;
  readonly engine: string;
  readonly vaultAddress: string;
  readonly approleDirectory: string;
  readonly method: LoginMethod;
  readonly deadlineMs: number;
  readonly dataDirectory: string;
  readonly configDirectory: string;
  readonly credentialsDirectory: string;
  /** How long a certificate lives; the role's own lifetime unless given. */
  readonly certificateTtlS?: number;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Reads the environment. Throws code `USAGE` (exit code 2) naming the variable that is missing or wrong. */
export function readSettings(environment: Environment): Settings {
  const service = required(environment, 'DEVSTACK_SERVICE');
  const seconds = environment['DEVSTACK_VAULT_WAIT_SECONDS'] ?? '120';
  if (!/^\d{1,5}$/.test(seconds))
    throw usage(`DEVSTACK_VAULT_WAIT_SECONDS is "${seconds}".`, 'Write a number of seconds.');
  const certificateTtl = environment['DEVSTACK_CERTIFICATE_TTL_SECONDS'] ?? '';
  if (!/^\d{0,9}$/.test(certificateTtl))
    throw usage(`DEVSTACK_CERTIFICATE_TTL_SECONDS is "${certificateTtl}".`, 'Write a number of seconds.');
  return {
    service,
    role: required(environment, 'DEVSTACK_ROLE'),
    engine: required(environment, 'DEVSTACK_ENGINE'),
    vaultAddress: required(environment, 'VAULT_ADDR'),
    approleDirectory: environment['VAULT_APPROLE_PATH'] ?? '/run/approle',
    method: method(environment, service),
    deadlineMs: Number(seconds) * 1000,
    dataDirectory: environment['DEVSTACK_DATA'] ?? '/var/lib/devstack',
    configDirectory: environment['DEVSTACK_CONFIG'] ?? '/etc/devstack',
    credentialsDirectory: environment['DEVSTACK_CREDENTIALS'] ?? '/run/credentials',
    ...(certificateTtl === '' ? {} : { certificateTtlS: Number(certificateTtl) }),
  };
}

// The fallback is only ever chosen by name: for all services, or for one (POSTGRES_VAULT_USE_ROOT_TOKEN).
function method(environment: Environment, service: string): LoginMethod {
  const own = `${service.toUpperCase().replaceAll(/[^A-Z0-9]/g, '_')}_VAULT_USE_ROOT_TOKEN`;
  const name = environment[own] === undefined ? 'VAULT_USE_ROOT_TOKEN' : own;
  if (boolean(environment, name, false)) return 'token';
  if (boolean(environment, 'VAULT_USE_APPROLE', true)) return 'approle';
  throw usage(
    'VAULT_USE_APPROLE and VAULT_USE_ROOT_TOKEN are both false: there is no way to log in to Vault.',
    'Set one of them to true; AppRole is the right one unless it cannot be used.',
  );
}

function boolean(environment: Environment, name: string, otherwise: boolean): boolean {
  const value = environment[name] ?? '';
  if (value === '') return otherwise;
  if (value === 'true' || value === 'false') return value === 'true';
  throw usage(`${name} is "${value}".`, 'Write true or false.');
}

function required(environment: Environment, name: string): string {
  const value = environment[name] ?? '';
  if (value === '')
    throw usage(`${name} is not set.`, 'The compose file sets it; compare the service with infrastructure/compose.');
  return value;
}

function usage(message: string, hint: string): DevstackError {
  return new DevstackError({ code: 'USAGE', message, hint, details: { usage: true } });
}
