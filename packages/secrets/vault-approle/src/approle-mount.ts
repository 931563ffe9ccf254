import type { VaultClient } from '@devstack-core/vault-client';

/** How AppRole is enabled. */
export interface AppRoleMount {
  readonly maxLeaseTtlS: number;
  /** Whether Vault locks a role_id for 15 minutes after five failed logins, its default. */
  readonly locksOut: boolean;
}

/** How AppRole is enabled; undefined where it is not. */
export async function readAppRoleMount(client: Pick<VaultClient, 'request'>): Promise<AppRoleMount | undefined> {
  const { data } = await client.request<{ readonly data?: Readonly<Record<string, RawMount>> }>('GET', 'sys/auth');
  const mount = data?.['approle/'];
  if (mount === undefined) return undefined;
  return {
    maxLeaseTtlS: mount.config?.max_lease_ttl ?? 0,
    locksOut: mount.config?.user_lockout_config?.user_lockout_disable !== true,
  };
}

/**
 * Lets secret_ids live as long as wanted, and never locks a role out: Vault counts failed logins by role_id, so one service with a wrong file
 * would lock out all that share its role, and against guessing a secret_id of 122 random bits a lock adds nothing.
 */
export async function tuneAppRoleMount(client: Pick<VaultClient, 'request'>, maxLeaseTtlS: number): Promise<void> {
  await client.request(
    'POST',
    'sys/auth/approle/tune',
    { max_lease_ttl: `${String(maxLeaseTtlS)}s`, user_lockout_config: { lockout_disable: true } },
    { repeatable: true },
  );
}

interface RawMount {
  readonly config?: {
    readonly max_lease_ttl?: number;
    readonly user_lockout_config?: { readonly user_lockout_disable?: boolean };
  };
}
