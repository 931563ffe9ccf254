import { createVaultClient } from '@devstack-core/vault-client';
import { Unhealthy, type Check } from '../check.ts';

/** Vault: initialised and unsealed. Needs no credentials. */
export const vault: Check = {
  describe: () => 'sys/health: initialised and unsealed',
  run: async ({ host, port, tls = false, timeoutMs, signal }) => {
    const shown = host.includes(':') ? `[${host}]` : host;
    using client = createVaultClient({
      address: `${tls === false ? 'http' : 'https'}://${shown}:${String(port)}`,
      ...(tls === false || tls.ca === undefined ? {} : { ca: tls.ca }),
      timeoutMs,
      retry: { deadlineMs: 0 },
      userAgent: 'devstack-health-probe',
      signal,
    });
    const { initialized, sealed, standby, version } = await client.health();
    const details = { version, initialized, sealed, standby };
    if (!initialized) {
      throw new Unhealthy({
        reason: 'Vault is not initialised.',
        answered: `Vault ${version}, not initialised`,
        nextStep: 'Initialise it: devstack vault init',
        details,
      });
    }
    if (sealed)
      throw new Unhealthy({
        reason: 'Vault is sealed.',
        answered: `Vault ${version}, sealed`,
        nextStep: 'Unseal it: devstack vault unseal',
        details,
      });
    return details;
  },
};
