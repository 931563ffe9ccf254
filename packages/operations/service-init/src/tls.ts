import { join } from 'node:path';
import { DevstackError } from '@devstack-core/errors';
import { ServiceInitErrorCode } from './errors.ts';
import type { ServiceInitContext } from './service-init.ts';

/** `false`: no TLS. `true`: TLS beside plain connections. `required`: plain connections are refused. */
export type TlsMode = 'false' | 'true' | 'required';

/** The files of a server that speaks TLS, and whether it still takes plain connections. The paths stay; what is behind them changes at a renewal. */
export interface ServiceTls {
  readonly mode: 'true' | 'required';
  /** PEM: the leaf, then what leads to the root. */
  readonly certificate: string;
  /** PEM, PKCS#8, 0600. */
  readonly privateKey: string;
  /** PEM: the roots to trust. */
  readonly ca: string;
}

/** The mode that a setting such as `DEVSTACK_TLS` says; `false` where it is not set. Throws `SETTING_INVALID`. */
export function tlsMode(settings: ServiceInitContext['settings'], name: string): TlsMode {
  const value = settings[name] ?? '';
  if (value === '') return 'false';
  if (value === 'false' || value === 'true' || value === 'required') return value;
  throw new DevstackError({
    code: ServiceInitErrorCode.settingInvalid,
    message: `${name} is "${value}".`,
    hint: 'Write false, true (beside plain connections) or required.',
    details: { name },
  });
}

/** The roots that every client in a container trusts, delivered beside its login. */
export function caFile(approleDirectory: string): string {
  return join(approleDirectory, 'ca.pem');
}

/** What a client of PostgreSQL in this container has to do: nothing, or to verify chain and name against these roots. */
export function postgresTrust(context: Pick<ServiceInitContext, 'settings' | 'approleDirectory'>): string | undefined {
  return tlsMode(context.settings, 'DEVSTACK_POSTGRES_TLS') === 'false' ? undefined : caFile(context.approleDirectory);
}

/** The same for a driver that takes the roots to trust from the environment alone (lib/pq). */
export function trustEnvironment(
  context: Pick<ServiceInitContext, 'settings' | 'approleDirectory'>,
): Readonly<Record<string, string>> {
  const trust = postgresTrust(context);
  return trust === undefined ? {} : { PGSSLROOTCERT: trust };
}
