import { DevstackError } from '@devstack-core/errors';
import { secret, type Secret } from '@devstack-core/redaction';
import type { KvClient } from '../src/update.ts';

/** KV v2 as far as secrets use it, in memory. `beforeWrite` is where another writer comes in between. */
export class MemoryKv {
  readonly secrets = new Map<string, { version: number; data: Record<string, Secret> | undefined }>();
  writes: string[] = [];
  beforeWrite: (path: string) => void = () => undefined;
  loseAnswers = 0;

  readonly client: KvClient = {
    kvRead: (path) => {
      const found = this.secrets.get(path);
      if (found?.data === undefined) return Promise.resolve(undefined);
      return Promise.resolve({ data: found.data, version: found.version, createdTime: '2026-01-01T00:00:00Z' });
    },
    kvWrite: (path, data, options = {}) => {
      this.beforeWrite(path);
      const version = this.secrets.get(path)?.version ?? 0;
      if (options.cas !== undefined && options.cas !== version) return Promise.reject(failure('VAULT_CAS_MISMATCH'));
      this.put(path, data);
      this.writes.push(path);
      if (this.loseAnswers-- > 0) return Promise.reject(failure('VAULT_UNREACHABLE', { outcome: 'unknown' }));
      return Promise.resolve(version + 1);
    },
    kvMetadata: (path) => {
      const version = this.secrets.get(path)?.version;
      if (version === undefined) return Promise.resolve(undefined);
      return Promise.resolve({
        currentVersion: version,
        oldestVersion: 1,
        maxVersions: 10,
        createdTime: '',
        updatedTime: '',
        versions: [],
      });
    },
  };

  put(path: string, data: Readonly<Record<string, Secret | string>> | undefined): void {
    const version = (this.secrets.get(path)?.version ?? 0) + 1;
    const wrapped =
      data === undefined
        ? undefined
        : Object.fromEntries(Object.entries(data).map(([key, value]) => [key, secret(value)]));
    this.secrets.set(path, { version, data: wrapped });
  }

  value(path: string, field: string): string | undefined {
    return this.secrets.get(path)?.data?.[field]?.reveal();
  }
}

function failure(code: string, details: Record<string, unknown> = {}): DevstackError {
  return new DevstackError({ code, message: code, details });
}
