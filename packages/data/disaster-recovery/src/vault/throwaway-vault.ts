import { startThrowaway, type ThrowawayOptions } from '@devstack-core/database-backup';
import { createVaultClient, type VaultClient } from '@devstack-core/vault-client';

/** A Vault that nobody but this process reaches: without network, its data in memory, not initialised. */
export interface ThrowawayVault extends AsyncDisposable {
  readonly client: VaultClient;
}

// The audit device of the Vault that was backed up writes where it always did, and without it no unseal succeeds.
const configuration = {
  storage: { raft: { path: '/vault/data', node_id: 'vault', performance_multiplier: '1' } },
  listener: { tcp: { address: '127.0.0.1:8200', tls_disable: true } },
  api_addr: 'http://127.0.0.1:8200',
  cluster_addr: 'http://127.0.0.1:8201',
  disable_mlock: true,
  ui: false,
};

/** Starts it and waits until it answers. Throws PLACE_UNUSABLE. */
export async function startThrowawayVault(options: ThrowawayOptions): Promise<ThrowawayVault> {
  const { docker } = options;
  const own = 'uid=8200,gid=8200,mode=0700';
  await using stack = new AsyncDisposableStack();
  const container = stack.use(
    await startThrowaway({
      ...options,
      what: 'Vault',
      argv: ['sh', '-c', 'printf %s "$CONFIGURATION" >/tmp/vault.json && exec vault server -config=/tmp/vault.json'],
      env: { CONFIGURATION: JSON.stringify(configuration), VAULT_ADDR: 'http://127.0.0.1:8200', SKIP_SETCAP: 'true' },
      user: '8200:8200',
      tmpfs: { '/vault/data': own, '/vault/audit': own, '/tmp': own },
      // 2: it is there, and sealed.
      ready: async (id) => (await docker.exec(id, ['vault', 'status'], { timeoutMs: 10_000 })).exitCode === 2,
    }),
  );
  const port = stack.use(await docker.forward(container.id, 8200));
  const client = stack.use(
    createVaultClient({
      address: `http://${port.host}:${String(port.port)}`,
      timeoutMs: 60_000,
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    }),
  );
  const owned = stack.move();
  return { client, [Symbol.asyncDispose]: () => owned[Symbol.asyncDispose]() };
}
