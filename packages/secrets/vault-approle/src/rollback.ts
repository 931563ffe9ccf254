import { join } from 'node:path';
import { defaultConcurrency, type BootstrapOptions } from './definitions.ts';
import { mapLimited } from './each.ts';
import { removeLoginFiles } from './login-files.ts';

/** What a rollback removed. */
export interface RollbackReport {
  readonly removed: readonly string[];
  readonly absent: readonly string[];
}

/**
 * Takes back a bootstrap: roles (and with them every secret_id of theirs), policies and login files. AppRole itself goes when no role of
 * anybody else is left. Secrets in KV stay unless `removeSecrets` is set. Tokens that were given live on for at most their five minutes,
 * without any permission, as their policies are gone. Repeatable.
 */
export async function rollbackBootstrap(
  options: Pick<BootstrapOptions, 'client' | 'roles' | 'consumers' | 'directory' | 'concurrency'> & {
    readonly removeSecrets?: boolean;
  },
): Promise<RollbackReport> {
  const { client, roles, consumers, directory, concurrency = defaultConcurrency } = options;
  const removed: string[] = [];
  const absent: string[] = [];
  const tell = (name: string, was: boolean): void => {
    (was ? removed : absent).push(name);
  };
  const [auth, mounts, policies] = await Promise.all([client.listAuth(), client.listMounts(), client.listPolicies()]);
  const existing = auth['approle'] === undefined ? [] : await client.listRoles();
  // Roles first: nobody can log in any more, whatever happens next.
  await mapLimited(roles, concurrency, async ({ role }) => {
    if (existing.includes(role)) await client.deleteRole(role);
    tell(`role ${role}`, existing.includes(role));
  });
  await mapLimited(roles, concurrency, async ({ role }) => {
    if (policies.includes(role)) await client.deletePolicy(role);
    tell(`policy ${role}`, policies.includes(role));
  });
  const foreign = existing.filter((name) => !roles.some(({ role }) => role === name));
  if (foreign.length === 0) {
    if (auth['approle'] !== undefined) await client.disableAuth('approle');
    tell('approle approle', auth['approle'] !== undefined);
  }
  await mapLimited(consumers, concurrency, async ({ service }) => {
    tell(`files ${service}`, await removeLoginFiles(join(directory, service)));
  });
  if (options.removeSecrets === true) {
    if (mounts['secret'] !== undefined) await client.disableMount('secret');
    tell('kv secret', mounts['secret'] !== undefined);
  }
  return { removed, absent };
}
