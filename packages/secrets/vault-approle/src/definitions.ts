import type { VaultClient } from '@devstack-core/vault-client';

/** A role and the policy of the same name. */
export interface RoleDefinition {
  readonly role: string;
  /** HCL. */
  readonly policy: string;
  /** Networks that may log in and use the tokens, in CIDR form. */
  readonly boundCidrs: readonly string[];
  /** 300 unless given. */
  readonly tokenTtlS?: number;
  /** How long one token can be renewed; 3600 unless given. After that a session logs in again. */
  readonly tokenMaxTtlS?: number;
  /** 30 days unless given. */
  readonly secretIdTtlS?: number;
}

/** One login: a compose service or a person's command. It has a secret_id of its own. */
export interface Consumer {
  readonly service: string;
  readonly role: string;
  /** The only addresses its secret_id works from: `172.20.1.11` or `172.20.1.11/32`. */
  readonly addresses: readonly string[];
}

/** What bootstrap, validation and rollback are told. */
export interface BootstrapOptions {
  /** A client with the root token. */
  readonly client: VaultClient;
  readonly roles: readonly RoleDefinition[];
  readonly consumers: readonly Consumer[];
  /** Where `<service>/role-id` and `<service>/secret-id` are kept. */
  readonly directory: string;
  /** Path of the file audit device in Vault's container; no device is asked for unless given. */
  readonly auditPath?: string;
  /** For roles without their own; 30 days unless given. */
  readonly secretIdTtlS?: number;
  /** Requests at the same time; 12 unless given. */
  readonly concurrency?: number;
  readonly now?: () => Date;
}

export const day: number = 24 * 60 * 60;

/** Lifetime of a secret_id unless another is given. */
export const defaultSecretIdTtlS: number = 30 * day;

/** Requests at the same time unless told: enough to hide the round trips, few enough to leave Vault to others. */
export const defaultConcurrency = 12;

/** How long the secret_ids of a role live. */
export function secretIdTtlOf(role: RoleDefinition | undefined, fallback: number | undefined): number {
  return role?.secretIdTtlS ?? fallback ?? defaultSecretIdTtlS;
}

/** In CIDR form, sorted: how two lists of addresses are compared. Vault drops the `/32` in some answers. */
export function normalizedCidrs(addresses: readonly string[]): string[] {
  return addresses
    .map((address) => (address.includes('/') ? address : `${address}/${address.includes(':') ? '128' : '32'}`))
    .sort();
}

export function sameCidrs(left: readonly string[], right: readonly string[]): boolean {
  return normalizedCidrs(left).join() === normalizedCidrs(right).join();
}
