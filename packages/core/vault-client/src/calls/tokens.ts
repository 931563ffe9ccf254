import { DevstackError, isDevstackError } from '@devstack-core/errors';
import { Secret } from '@devstack-core/redaction';
import { VaultErrorCode } from '../errors.ts';
import {
  fields,
  given,
  means,
  number,
  readData,
  text,
  texts,
  time,
  vaultPath,
  type Fields,
  type Send,
} from './send.ts';

/** A token that Vault just gave. */
export interface IssuedToken {
  readonly token: Secret;
  /** Names the token without being it: safe to log, and enough to revoke it. */
  readonly accessor: string;
  readonly policies: readonly string[];
  readonly leaseDurationS: number;
  readonly renewable: boolean;
}

/** What Vault knows of the client's own token. */
export interface TokenInfo {
  readonly accessor: string;
  readonly policies: readonly string[];
  readonly displayName: string;
  readonly path: string;
  readonly ttlS: number;
  readonly renewable: boolean;
  readonly metadata: Readonly<Record<string, string>>;
  readonly boundCidrs: readonly string[];
  readonly expireTime?: string;
}

export interface CreateTokenOptions {
  readonly policies: readonly string[];
  readonly ttlS?: number;
  readonly explicitMaxTtlS?: number;
  readonly noParent?: boolean;
  readonly noDefaultPolicy?: boolean;
  readonly renewable?: boolean;
  readonly numUses?: number;
  readonly displayName?: string;
  /** Appears in clear in the audit log. */
  readonly metadata?: Readonly<Record<string, string>>;
}

/** Logging in, and what to do with a token. */
export interface TokenCalls {
  /** `VAULT_BAD_CREDENTIALS` for a wrong, expired, revoked or used-up pair, and for a login from a wrong network. */
  loginAppRole(options: {
    readonly roleId: string | Secret;
    readonly secretId: Secret;
    readonly mount?: string;
  }): Promise<IssuedToken>;
  /** The new lease duration in seconds. */
  renewSelf(options?: { readonly incrementS?: number }): Promise<IssuedToken>;
  revokeSelf(): Promise<void>;
  lookupSelf(): Promise<TokenInfo>;
  createToken(options: CreateTokenOptions): Promise<IssuedToken>;
  /** Revokes another token; one that is gone already is fine. */
  revokeAccessor(accessor: string): Promise<void>;
  /** What the client's token may do at each path: `["deny"]`, `["read", "list"]`, `["root"]`. */
  capabilitiesSelf(paths: readonly string[]): Promise<Record<string, string[]>>;
}

export function tokenCalls(send: Send): TokenCalls {
  return {
    async loginAppRole({ roleId, secretId, mount = 'approle' }) {
      const path = `${vaultPath('auth', mount)}/login`;
      try {
        const role = typeof roleId === 'string' ? new Secret(roleId) : roleId;
        return issued(
          (await send({ method: 'POST', path, json: { role_id: role, secret_id: secretId }, repeatable: true })).body,
        );
      } catch (error) {
        const status = isDevstackError(error) ? error.details['status'] : undefined;
        if (status !== 400 && status !== 403) throw error;
        throw new DevstackError({
          code: VaultErrorCode.badCredentials,
          message:
            'Vault refused the AppRole login: the role_id or the secret_id is wrong, expired or revoked, or the login came from an address they are not bound to.',
          hint: 'Have a new secret_id issued for this role, and check the address the login comes from.',
          details: { status, path, ...(means(error, 'wrong-address') ? { reason: 'wrong-address' } : {}) },
        });
      }
    },

    async renewSelf({ incrementS } = {}) {
      return issued(
        (
          await send({
            method: 'POST',
            path: 'auth/token/renew-self',
            json: given({ increment: incrementS }),
            repeatable: true,
          })
        ).body,
      );
    },

    async revokeSelf() {
      await send({ method: 'POST', path: 'auth/token/revoke-self' });
    },

    async lookupSelf() {
      const data = await readData(send, { method: 'GET', path: 'auth/token/lookup-self' });
      const expireTime = time(data['expire_time']);
      return {
        accessor: text(data['accessor']),
        policies: texts(data['policies']),
        displayName: text(data['display_name']),
        path: text(data['path']),
        ttlS: number(data['ttl']),
        renewable: data['renewable'] === true,
        metadata: fields(data['meta']) as Record<string, string>,
        boundCidrs: texts(data['bound_cidrs']),
        ...(expireTime === undefined ? {} : { expireTime }),
      };
    },

    async createToken(options) {
      const json = given({
        policies: options.policies,
        ttl: options.ttlS === undefined ? undefined : `${String(options.ttlS)}s`,
        explicit_max_ttl: options.explicitMaxTtlS === undefined ? undefined : `${String(options.explicitMaxTtlS)}s`,
        no_parent: options.noParent,
        no_default_policy: options.noDefaultPolicy,
        renewable: options.renewable,
        num_uses: options.numUses,
        display_name: options.displayName,
        meta: options.metadata,
      });
      return issued((await send({ method: 'POST', path: 'auth/token/create', json })).body);
    },

    async revokeAccessor(accessor) {
      try {
        await send({ method: 'POST', path: 'auth/token/revoke-accessor', json: { accessor }, repeatable: true });
      } catch (error) {
        if (means(error, 'gone')) return;
        throw error;
      }
    },

    async capabilitiesSelf(paths) {
      const data = await readData(send, {
        method: 'POST',
        path: 'sys/capabilities-self',
        json: { paths },
        repeatable: true,
      });
      return Object.fromEntries(paths.map((path) => [path, texts(data[path])]));
    },
  };
}

function issued(body: unknown): IssuedToken {
  const auth: Fields = fields(fields(body)['auth']);
  return {
    token: new Secret(text(auth['client_token'])),
    accessor: text(auth['accessor']),
    policies: texts(auth['policies']),
    leaseDurationS: number(auth['lease_duration']),
    renewable: auth['renewable'] === true,
  };
}
