import { DevstackError, isDevstackError } from '@devstack-core/errors';
import type { VaultClient } from '@devstack-core/vault-client';
import { VaultLifecycleErrorCode } from './errors.ts';

export interface EnsureAuditDeviceOptions {
  readonly client: VaultClient;
  /** In Vault's own file system. Default `/vault/audit/audit.log`. */
  readonly path?: string;
  /** Name of the device. Default `file`. */
  readonly name?: string;
}

/** Has every request written to a file of Vault's. Throws `VAULT_AUDIT_FAILED` where Vault refuses or the name is taken by another device. */
export async function ensureAuditDevice(
  options: EnsureAuditDeviceOptions,
): Promise<{ readonly outcome: 'enabled' | 'already' }> {
  const { client, path = '/vault/audit/audit.log', name = 'file' } = options;
  const isIt = async (): Promise<boolean> =>
    Object.values(await client.listAudit()).some(
      (device) => device.type === 'file' && device.options['file_path'] === path,
    );

  if (await isIt()) return { outcome: 'already' };
  try {
    if (await client.enableAudit({ path: name, type: 'file', options: { file_path: path, mode: '0600' } }))
      return { outcome: 'enabled' };
  } catch (error) {
    if (!isDevstackError(error, 'VAULT_REQUEST_FAILED')) throw error;
    throw failed(path, error.message);
  }
  // Another process may have enabled the same one in between.
  if (await isIt()) return { outcome: 'already' };
  throw failed(path, `an audit device called "${name}" writes elsewhere`);
}

function failed(path: string, why: string): DevstackError {
  return new DevstackError({
    code: VaultLifecycleErrorCode.auditFailed,
    message: `Vault does not write its audit log to ${path}: ${why}`,
    hint: 'Check that the folder exists in the Vault container and that Vault may write to it. OpenBao takes audit devices from its configuration file only.',
    details: { path },
  });
}
