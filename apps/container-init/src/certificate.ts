import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { RenewOptions, RenewalResult } from '@devstack-core/certificates';
import { caFile, tlsMode, type ServiceTls } from '@devstack-core/service-init';
import type { VaultClient } from '@devstack-core/vault-client';
import type { Settings } from './settings.ts';

type Environment = Readonly<Record<string, string | undefined>>;

// Most starts are without TLS: its code is loaded only when it is used.
const library = (): Promise<typeof import('@devstack-core/certificates')> => import('@devstack-core/certificates');

/** The container's own folder for its certificate, on tmpfs: the key is made here and leaves neither it nor its memory. */
function folder(settings: Settings): string {
  return join(settings.credentialsDirectory, 'tls');
}

/** The files that the server reads, or nothing where it is not to speak TLS. */
export async function tlsOf(settings: Settings, environment: Environment): Promise<ServiceTls | undefined> {
  const mode = tlsMode(environment, 'DEVSTACK_TLS');
  if (mode === 'false') return undefined;
  const { certificate, key, ca } = (await library()).leafPaths(folder(settings));
  return { mode, certificate, privateKey: key, ca };
}

/** Does something with a login to Vault. */
export type WithVault = <T>(work: (client: VaultClient) => Promise<T>) => Promise<T>;

/**
 * Has a certificate for this service issued under its own role, when there is none or it is due: only then Vault is asked for. `how` says what to
 * do with a running server.
 */
export async function ensureCertificate(
  settings: Settings,
  withVault: WithVault,
  how: Pick<RenewOptions, 'reload' | 'verify' | 'force'> = {},
): Promise<RenewalResult> {
  const { issueLeaf, renew } = await library();
  const caBundlePem = await readFile(caFile(settings.approleDirectory), 'utf8');
  return renew({
    ...how,
    directory: folder(settings),
    caBundlePem,
    issue: () =>
      withVault((client) =>
        issueLeaf({
          client,
          role: settings.role,
          commonName: settings.service,
          dnsNames: ['localhost'],
          caBundlePem,
          ...(settings.certificateTtlS === undefined ? {} : { ttlS: settings.certificateTtlS }),
        }),
      ),
  });
}
