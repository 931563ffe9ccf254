import { DevstackError } from '@devstack-core/errors';
import { Secret } from '@devstack-core/redaction';
import type { InitResult, SealStatus, VaultClient } from '@devstack-core/vault-client';

const sealed: SealStatus = {
  initialized: true,
  sealed: true,
  shares: 5,
  threshold: 3,
  progress: 0,
  version: '1',
  storageType: 'raft',
};

/** What `sys/seal-status` says, `sealed` unless changed. */
export function status(changes: Partial<SealStatus> = {}): SealStatus {
  return { ...sealed, ...changes };
}

/** The result of an initialisation. */
export function initResult(shares = 5): InitResult {
  const keys = Array.from({ length: shares }, (_, at) => new Secret(String(at).repeat(64)));
  return { keys, keysBase64: keys, rootToken: new Secret('hvs.the-root-token') };
}

/** An error as the client makes it. */
export function vaultError(code: string, details: Record<string, unknown> = {}): DevstackError {
  return new DevstackError({ code, message: code, details });
}

/** A client of which a test gives the calls that it expects. */
export function fakeClient(calls: Partial<VaultClient>): VaultClient {
  return { address: 'http://vault:8200', ...calls } as VaultClient;
}
