import { fields, given, listKeys, number, orUndefined, readData, means, text, vaultPath, type Send } from './send.ts';

/** A secrets engine, an auth method or an audit device. */
export interface MountInfo {
  readonly type: string;
  readonly description: string;
  readonly options: Readonly<Record<string, string>>;
  /** 0 means Vault's own default. */
  readonly defaultLeaseTtlS: number;
  readonly maxLeaseTtlS: number;
}

export interface MountOptions {
  /** Without a trailing slash. */
  readonly path: string;
  readonly type: string;
  readonly description?: string;
  readonly options?: Readonly<Record<string, string>>;
  readonly maxLeaseTtlS?: number;
  readonly defaultLeaseTtlS?: number;
}

/** Mounts by their path, which has no trailing slash. `enable…` gives false where the path was in use already. */
export interface MountCalls {
  listMounts(): Promise<Record<string, MountInfo>>;
  enableMount(options: MountOptions): Promise<boolean>;
  tuneMount(options: {
    readonly path: string;
    readonly maxLeaseTtlS?: number;
    readonly defaultLeaseTtlS?: number;
  }): Promise<void>;
  listAuth(): Promise<Record<string, MountInfo>>;
  enableAuth(options: MountOptions): Promise<boolean>;
  tuneAuth(options: {
    readonly path: string;
    readonly maxLeaseTtlS?: number;
    readonly defaultLeaseTtlS?: number;
  }): Promise<void>;
  disableAuth(path: string): Promise<void>;
  disableMount(path: string): Promise<void>;
  listAudit(): Promise<Record<string, MountInfo>>;
  /** OpenBao refuses this unless its configuration allows it. */
  enableAudit(options: MountOptions): Promise<boolean>;
  disableAudit(path: string): Promise<void>;
  /** Policy names are lower case to Vault. */
  writePolicy(name: string, policy: string): Promise<void>;
  readPolicy(name: string): Promise<string | undefined>;
  deletePolicy(name: string): Promise<void>;
  listPolicies(): Promise<string[]>;
}

export function mountCalls(send: Send): MountCalls {
  const list = async (path: string): Promise<Record<string, MountInfo>> => {
    const data = await readData(send, { method: 'GET', path });
    return Object.fromEntries(
      Object.entries(data)
        .filter(([, value]) => fields(value)['type'] !== undefined)
        .map(([key, value]) => {
          const mount = fields(value);
          const config = fields(mount['config']);
          return [
            key.replace(/\/$/, ''),
            {
              type: text(mount['type']),
              description: text(mount['description']),
              options: fields(mount['options']) as Record<string, string>,
              defaultLeaseTtlS: number(config['default_lease_ttl']),
              maxLeaseTtlS: number(config['max_lease_ttl']),
            },
          ];
        }),
    );
  };

  const enable = async (kind: string, options: MountOptions): Promise<boolean> => {
    const config = given({
      max_lease_ttl: seconds(options.maxLeaseTtlS),
      default_lease_ttl: seconds(options.defaultLeaseTtlS),
    });
    try {
      await send({
        method: 'POST',
        path: vaultPath('sys', kind, options.path),
        json: given({
          type: options.type,
          description: options.description,
          options: options.options,
          config: Object.keys(config).length === 0 ? undefined : config,
        }),
        repeatable: true,
      });
      return true;
    } catch (error) {
      if (means(error, 'already-in-use')) return false;
      throw error;
    }
  };

  const disable = async (kind: string, path: string): Promise<void> => {
    await send({ method: 'DELETE', path: vaultPath('sys', kind, path) });
  };

  const tune = async (
    kind: string,
    { path, maxLeaseTtlS, defaultLeaseTtlS }: Parameters<MountCalls['tuneAuth']>[0],
  ): Promise<void> => {
    const json = given({ max_lease_ttl: seconds(maxLeaseTtlS), default_lease_ttl: seconds(defaultLeaseTtlS) });
    await send({ method: 'POST', path: vaultPath('sys', kind, path, 'tune'), json, repeatable: true });
  };

  return {
    listMounts: () => list('sys/mounts'),
    enableMount: (options) => enable('mounts', options),
    disableMount: (path) => disable('mounts', path),
    tuneMount: (options) => tune('mounts', options),
    listAuth: () => list('sys/auth'),
    enableAuth: (options) => enable('auth', options),
    tuneAuth: (options) => tune('auth', options),
    disableAuth: (path) => disable('auth', path),
    listAudit: () => list('sys/audit'),
    enableAudit: (options) => enable('audit', options),
    disableAudit: (path) => disable('audit', path),
    async writePolicy(name, policy) {
      await send({ method: 'PUT', path: vaultPath('sys', 'policies', 'acl', name), json: { policy } });
    },
    async readPolicy(name) {
      const data = await orUndefined(
        readData(send, { method: 'GET', path: vaultPath('sys', 'policies', 'acl', name) }),
      );
      return data === undefined ? undefined : text(data['policy']);
    },
    async deletePolicy(name) {
      await send({ method: 'DELETE', path: vaultPath('sys', 'policies', 'acl', name) });
    },
    listPolicies: () => listKeys(send, 'sys/policies/acl'),
  };
}

function seconds(value: number | undefined): string | undefined {
  return value === undefined ? undefined : `${String(value)}s`;
}
