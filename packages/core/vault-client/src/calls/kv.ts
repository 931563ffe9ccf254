import { Secret } from '@devstack-core/redaction';
import { fields, given, listKeys, number, orUndefined, readData, text, time, vaultPath, type Send } from './send.ts';

/** One version of a secret. Values that are not strings come as their JSON. */
export interface KvSecret {
  readonly data: Readonly<Record<string, Secret>>;
  readonly version: number;
  readonly createdTime: string;
}

/** What is known of a secret without reading it. */
export interface KvMetadata {
  readonly currentVersion: number;
  readonly oldestVersion: number;
  readonly maxVersions: number;
  readonly createdTime: string;
  readonly updatedTime: string;
  readonly versions: readonly {
    readonly version: number;
    readonly createdTime: string;
    readonly deletedTime?: string;
    readonly destroyed: boolean;
  }[];
}

export interface KvOptions {
  /** Default `secret`. */
  readonly mount?: string;
}

/** KV version 2. Paths are without the mount and without `data/`: `services/postgres`. */
export interface KvCalls {
  /** Undefined where there is nothing, or only deleted versions. */
  kvRead(path: string, options?: KvOptions & { readonly version?: number }): Promise<KvSecret | undefined>;
  /** The new version. `cas` 0 creates only, a version replaces that version only; `VAULT_CAS_MISMATCH` otherwise. */
  kvWrite(
    path: string,
    data: Readonly<Record<string, Secret | string>>,
    options?: KvOptions & { readonly cas?: number },
  ): Promise<number>;
  /** Names under a path, folders with a trailing slash; an empty path lists the mount. */
  kvList(path: string, options?: KvOptions): Promise<string[]>;
  kvMetadata(path: string, options?: KvOptions): Promise<KvMetadata | undefined>;
  /** Every version and the metadata; nothing to delete is fine. */
  kvDelete(path: string, options?: KvOptions): Promise<void>;
}

export function kvCalls(send: Send): KvCalls {
  return {
    async kvRead(path, { mount = 'secret', version } = {}) {
      const query = version === undefined ? '' : `?version=${String(version)}`;
      const found = await orUndefined(
        readData(send, { method: 'GET', path: `${vaultPath(mount, 'data', path)}${query}` }),
      );
      if (found === undefined || found['data'] === null) return undefined;
      const metadata = fields(found['metadata']);
      return {
        data: Object.fromEntries(
          Object.entries(fields(found['data'])).map(([key, value]) => [
            key,
            new Secret(typeof value === 'string' ? value : JSON.stringify(value)),
          ]),
        ),
        version: number(metadata['version']),
        createdTime: text(metadata['created_time']),
      };
    },

    async kvWrite(path, data, { mount = 'secret', cas } = {}) {
      const written = await readData(send, {
        method: 'POST',
        path: vaultPath(mount, 'data', path),
        json: given({
          data: Object.fromEntries(
            Object.entries(data).map(([key, value]) => [key, typeof value === 'string' ? new Secret(value) : value]),
          ),
          options: cas === undefined ? undefined : { cas },
        }),
        // A repeated plain write makes one more version of the same; a repeated check-and-set would contradict itself.
        repeatable: cas === undefined,
      });
      return number(written['version']);
    },

    kvList: (path, { mount = 'secret' } = {}) =>
      listKeys(
        send,
        path === '' ? vaultPath(mount, 'metadata') : vaultPath(mount, 'metadata', path.replace(/\/$/, '')),
      ),

    async kvMetadata(path, { mount = 'secret' } = {}) {
      const found = await orUndefined(readData(send, { method: 'GET', path: vaultPath(mount, 'metadata', path) }));
      if (found === undefined) return undefined;
      return {
        currentVersion: number(found['current_version']),
        oldestVersion: number(found['oldest_version']),
        maxVersions: number(found['max_versions']),
        createdTime: text(found['created_time']),
        updatedTime: text(found['updated_time']),
        versions: Object.entries(fields(found['versions'])).map(([version, value]) => {
          const one = fields(value);
          const deletedTime = time(one['deletion_time']);
          return {
            version: Number(version),
            createdTime: text(one['created_time']),
            destroyed: one['destroyed'] === true,
            ...(deletedTime === undefined ? {} : { deletedTime }),
          };
        }),
      };
    },

    async kvDelete(path, { mount = 'secret' } = {}) {
      await send({ method: 'DELETE', path: vaultPath(mount, 'metadata', path) });
    },
  };
}
