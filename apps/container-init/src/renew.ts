import { readFileSync } from 'node:fs';
import { DevstackError } from '@devstack-core/errors';
import { readServiceCredentials, tlsServers } from '@devstack-core/service-init';
import type { VaultClient } from '@devstack-core/vault-client';
import { ensureCertificate, tlsOf, type WithVault } from './certificate.ts';
import type { Settings } from './settings.ts';

/** What a renewal did; the caller restarts the service when `restart` says so. */
export interface RenewReport {
  readonly outcome: 'renewed' | 'not-due' | 'finished';
  readonly reason: string | null;
  readonly serial: string;
  /** ISO 8601. */
  readonly notAfter: string;
  /** The server reads its certificate at its start alone. */
  readonly restart: boolean;
}

/**
 * Renews the certificate of the server that runs in this container, beside it, when it is due: a login of its own, an atomic switch, a reload
 * without a dropped connection, and a look at what is presented; the old one comes back when the server refuses the new one. While it is not
 * due, Vault may be away.
 */
export async function renewCertificate(
  settings: Settings,
  environment: Readonly<Record<string, string | undefined>>,
  options: { readonly force: boolean; readonly progress: (line: string) => void },
): Promise<RenewReport> {
  const tls = await tlsOf(settings, environment);
  const server = tlsServers[settings.engine];
  if (tls === undefined || server === undefined) {
    throw new DevstackError({
      code: 'TLS_OFF',
      message: `${settings.service} does not speak TLS.`,
      hint: `Set ${settings.service.toUpperCase().replaceAll('-', '_')}_ENABLE_TLS=true and run: devstack up`,
    });
  }
  const { verifyServed } = await import('@devstack-core/certificates');
  const { reload } = server;
  const result = await ensureCertificate(settings, vaultOf(settings, options.progress), {
    force: options.force,
    ...(reload === undefined
      ? {}
      : {
          reload: () => reload({ settings: environment, credentialsDirectory: settings.credentialsDirectory, tls }),
          verify: (installed) =>
            verifyServed({
              host: '127.0.0.1',
              port: server.port,
              servername: settings.service,
              ca: readFileSync(installed.paths.ca, 'utf8'),
              serial: installed.serial,
              ...(server.startTls === undefined ? {} : { starttls: server.startTls }),
            }),
        }),
  });
  return {
    outcome: result.outcome,
    reason: result.reason ?? null,
    serial: result.installed.serial,
    notAfter: result.installed.notAfter.toISOString(),
    restart: reload === undefined && result.outcome !== 'not-due',
  };
}

/** Logs in when it is asked to, and out again. */
function vaultOf(settings: Settings, progress: (line: string) => void): WithVault {
  return async <T>(work: (client: VaultClient) => Promise<T>): Promise<T> => {
    let done: { readonly value: T } | undefined;
    await readServiceCredentials({
      address: settings.vaultAddress,
      directory: settings.approleDirectory,
      service: settings.service,
      role: settings.role,
      method: settings.method,
      // A renewal is tried again later: it does not wait for a Vault that is away.
      deadlineMs: Math.min(settings.deadlineMs, 10_000),
      progress,
      withSession: async (client) => {
        done = { value: await work(client) };
      },
    });
    if (done === undefined) throw new DevstackError({ code: 'UNEXPECTED', message: 'The renewal gave no result.' });
    return done.value;
  };
}
