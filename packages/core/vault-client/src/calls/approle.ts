import { Secret } from '@devstack-core/redaction';
import {
  fields,
  given,
  listKeys,
  number,
  orUndefined,
  readData,
  means,
  text,
  texts,
  time,
  vaultPath,
  type Fields,
  type Send,
} from './send.ts';

/** An AppRole role; a write leaves fields that are not given as they are. */
export interface RoleSettings {
  readonly tokenPolicies?: readonly string[];
  readonly tokenNoDefaultPolicy?: boolean;
  readonly tokenTtlS?: number;
  readonly tokenMaxTtlS?: number;
  readonly tokenPeriodS?: number;
  readonly tokenNumUses?: number;
  readonly tokenBoundCidrs?: readonly string[];
  readonly tokenType?: string;
  readonly bindSecretId?: boolean;
  readonly secretIdTtlS?: number;
  readonly secretIdNumUses?: number;
  readonly secretIdBoundCidrs?: readonly string[];
}

/** A secret_id that Vault just gave. */
export interface IssuedSecretId {
  readonly secretId: Secret;
  /** Names the secret_id without being it: safe to log, and enough to destroy it. */
  readonly accessor: string;
  /** 0 means that it never expires. */
  readonly ttlS: number;
}

/** What Vault knows of a secret_id. */
export interface SecretIdInfo {
  readonly accessor: string;
  readonly cidrs: readonly string[];
  readonly tokenCidrs: readonly string[];
  readonly metadata: Readonly<Record<string, string>>;
  readonly creationTime: string;
  /** Missing when it never expires. */
  readonly expirationTime?: string;
  /** Uses left; 0 means unlimited. */
  readonly numUses: number;
  readonly ttlS: number;
}

export interface CreateSecretIdOptions {
  readonly role: string;
  /** Addresses that may log in with it, in CIDR form, within those of the role. */
  readonly cidrs?: readonly string[];
  /** Addresses that may use the tokens it gives. */
  readonly tokenCidrs?: readonly string[];
  readonly ttlS?: number;
  readonly numUses?: number;
  /** Appears in clear in the audit log. */
  readonly metadata?: Readonly<Record<string, string>>;
  readonly mount?: string;
}

export interface AppRoleOptions {
  /** Default `approle`. */
  readonly mount?: string;
}

/** AppRole administration. `mount` defaults to `approle`. */
export interface AppRoleCalls {
  listRoles(options?: AppRoleOptions): Promise<string[]>;
  readRole(role: string, options?: AppRoleOptions): Promise<Required<RoleSettings> | undefined>;
  writeRole(role: string, settings: RoleSettings, options?: AppRoleOptions): Promise<void>;
  deleteRole(role: string, options?: AppRoleOptions): Promise<void>;
  readRoleId(role: string, options?: AppRoleOptions): Promise<string | undefined>;
  writeRoleId(role: string, roleId: string | Secret, options?: AppRoleOptions): Promise<void>;
  createSecretId(options: CreateSecretIdOptions): Promise<IssuedSecretId>;
  listSecretIdAccessors(role: string, options?: AppRoleOptions): Promise<string[]>;
  /** Undefined for one that is unknown, expired or destroyed. */
  lookupSecretIdAccessor(
    options: { readonly role: string; readonly accessor: string } & AppRoleOptions,
  ): Promise<SecretIdInfo | undefined>;
  /** The same by value: tells whether a file still holds a valid secret_id without logging in. */
  lookupSecretId(
    options: { readonly role: string; readonly secretId: Secret } & AppRoleOptions,
  ): Promise<SecretIdInfo | undefined>;
  /** One that is gone already is fine. Tokens that it gave live on until they expire. */
  destroySecretIdAccessor(
    options: { readonly role: string; readonly accessor: string } & AppRoleOptions,
  ): Promise<void>;
}

export function appRoleCalls(send: Send): AppRoleCalls {
  const rolePath = (mount: string | undefined, role: string, ...rest: readonly string[]): string =>
    vaultPath('auth', mount ?? 'approle', 'role', role, ...rest);

  const lookup = async (path: string, json: Fields): Promise<SecretIdInfo | undefined> => {
    try {
      const answer = await orUndefined(send({ method: 'POST', path, json, repeatable: true }));
      const data = fields(fields(answer?.body)['data']);
      // Vault answers 204 to the lookup of an unknown secret_id.
      return optional(data);
    } catch (error) {
      if (means(error, 'gone')) return undefined;
      throw error;
    }
  };

  return {
    listRoles: ({ mount = 'approle' } = {}) => listKeys(send, vaultPath('auth', mount, 'role')),

    async readRole(role, { mount } = {}) {
      const data = await orUndefined(readData(send, { method: 'GET', path: rolePath(mount, role) }));
      return data === undefined ? undefined : roleOf(data);
    },

    async writeRole(role, settings, { mount } = {}) {
      const json = given({
        token_policies: settings.tokenPolicies,
        token_no_default_policy: settings.tokenNoDefaultPolicy,
        token_ttl: settings.tokenTtlS,
        token_max_ttl: settings.tokenMaxTtlS,
        token_period: settings.tokenPeriodS,
        token_num_uses: settings.tokenNumUses,
        token_bound_cidrs: settings.tokenBoundCidrs,
        token_type: settings.tokenType,
        bind_secret_id: settings.bindSecretId,
        secret_id_ttl: settings.secretIdTtlS,
        secret_id_num_uses: settings.secretIdNumUses,
        secret_id_bound_cidrs: settings.secretIdBoundCidrs,
      });
      await send({ method: 'POST', path: rolePath(mount, role), json, repeatable: true });
    },

    async deleteRole(role, { mount } = {}) {
      await send({ method: 'DELETE', path: rolePath(mount, role) });
    },

    async readRoleId(role, { mount } = {}) {
      const data = await orUndefined(readData(send, { method: 'GET', path: rolePath(mount, role, 'role-id') }));
      return data === undefined ? undefined : text(data['role_id']);
    },

    async writeRoleId(role, roleId, { mount } = {}) {
      await send({
        method: 'POST',
        path: rolePath(mount, role, 'role-id'),
        json: { role_id: roleId },
        repeatable: true,
      });
    },

    async createSecretId(options) {
      const data = await readData(send, {
        method: 'POST',
        path: rolePath(options.mount, options.role, 'secret-id'),
        json: given({
          cidr_list: options.cidrs,
          token_bound_cidrs: options.tokenCidrs,
          ttl: options.ttlS === undefined ? undefined : `${String(options.ttlS)}s`,
          num_uses: options.numUses,
          metadata: options.metadata === undefined ? undefined : JSON.stringify(options.metadata),
        }),
      });
      return {
        secretId: new Secret(text(data['secret_id'])),
        accessor: text(data['secret_id_accessor']),
        ttlS: number(data['secret_id_ttl']),
      };
    },

    listSecretIdAccessors: (role, { mount } = {}) => listKeys(send, rolePath(mount, role, 'secret-id')),

    lookupSecretIdAccessor: ({ role, accessor, mount }) =>
      lookup(rolePath(mount, role, 'secret-id-accessor', 'lookup'), { secret_id_accessor: accessor }),

    lookupSecretId: ({ role, secretId, mount }) =>
      lookup(rolePath(mount, role, 'secret-id', 'lookup'), { secret_id: secretId }),

    async destroySecretIdAccessor({ role, accessor, mount }) {
      const path = rolePath(mount, role, 'secret-id-accessor', 'destroy');
      try {
        await orUndefined(send({ method: 'POST', path, json: { secret_id_accessor: accessor }, repeatable: true }));
      } catch (error) {
        if (!means(error, 'gone')) throw error;
      }
    },
  };
}

function optional(data: Fields): SecretIdInfo | undefined {
  if (data['creation_time'] === undefined) return undefined;
  const expirationTime = time(data['expiration_time']);
  return {
    accessor: text(data['secret_id_accessor']),
    cidrs: texts(data['cidr_list']),
    tokenCidrs: texts(data['token_bound_cidrs']),
    metadata: fields(data['metadata']) as Record<string, string>,
    creationTime: text(data['creation_time']),
    ...(expirationTime === undefined ? {} : { expirationTime }),
    numUses: number(data['secret_id_num_uses']),
    ttlS: number(data['secret_id_ttl']),
  };
}

function roleOf(data: Fields): Required<RoleSettings> {
  return {
    tokenPolicies: texts(data['token_policies']),
    tokenNoDefaultPolicy: data['token_no_default_policy'] === true,
    tokenTtlS: number(data['token_ttl']),
    tokenMaxTtlS: number(data['token_max_ttl']),
    tokenPeriodS: number(data['token_period']),
    tokenNumUses: number(data['token_num_uses']),
    tokenBoundCidrs: texts(data['token_bound_cidrs']),
    tokenType: text(data['token_type']),
    bindSecretId: data['bind_secret_id'] === true,
    secretIdTtlS: number(data['secret_id_ttl']),
    secretIdNumUses: number(data['secret_id_num_uses']),
    secretIdBoundCidrs: texts(data['secret_id_bound_cidrs']),
  };
}
