import { join } from 'node:path';
import type { MountInfo, RoleSettings, SecretIdInfo, VaultClient } from '@devstack-core/vault-client';
import { readAppRoleMount, type AppRoleMount } from './approle-mount.ts';
import { defaultConcurrency, type BootstrapOptions } from './definitions.ts';
import { mapLimited } from './each.ts';
import { readLoginFiles, type LoginFiles } from './login-files.ts';

/** What is known of one role. */
export interface RoleState {
  readonly policy: string | undefined;
  readonly settings: Required<RoleSettings> | undefined;
  readonly roleId: string | undefined;
  /** Of all its secret_ids. */
  readonly accessors: readonly string[];
}

/** What is known of one consumer. */
export interface ConsumerState {
  readonly files: LoginFiles;
  /** What Vault says of the secret_id in the file; undefined where it does not know it. */
  readonly secretId: SecretIdInfo | undefined;
}

/** Vault and the files as they are. */
export interface BootstrapState {
  readonly kv: MountInfo | undefined;
  readonly approle: AppRoleMount | undefined;
  readonly audit: Readonly<Record<string, MountInfo>>;
  readonly roles: ReadonlyMap<string, RoleState>;
  readonly consumers: ReadonlyMap<string, ConsumerState>;
  /** What is known of secret_ids that no file holds, by accessor. */
  readonly strays: ReadonlyMap<string, SecretIdInfo & { readonly role: string }>;
}

/**
 * Reads everything that the plan needs: five lists at once, then only what the lists say exists, in parallel. A new Vault costs five
 * requests, one that is set up five for each role.
 */
export async function inspect(options: BootstrapOptions): Promise<BootstrapState> {
  const { client, directory, concurrency = defaultConcurrency } = options;
  const files = new Map<string, LoginFiles>();
  const [mounts, approle, audit, policies] = await Promise.all([
    client.listMounts(),
    readAppRoleMount(client),
    options.auditPath === undefined ? {} : client.listAudit(),
    client.listPolicies(),
    Promise.all(
      options.consumers.map(async ({ service }) => files.set(service, await readLoginFiles(join(directory, service)))),
    ),
  ]);
  const existing = approle === undefined ? [] : await client.listRoles();

  const roles = new Map<string, RoleState>();
  const consumers = new Map<string, ConsumerState>();
  const nothing: RoleState = { policy: undefined, settings: undefined, roleId: undefined, accessors: [] };
  const questions: (() => Promise<void>)[] = [];
  const ask = (question: () => Promise<void>): void => {
    questions.push(question);
  };
  for (const { role } of options.roles) {
    roles.set(role, nothing);
    const learn = (part: Partial<RoleState>): void => {
      roles.set(role, { ...(roles.get(role) ?? nothing), ...part });
    };
    if (policies.includes(role)) ask(async () => { learn({ policy: await client.readPolicy(role) }); }); // prettier-ignore
    if (!existing.includes(role)) continue;
    ask(async () => { learn({ settings: await client.readRole(role) }); }); // prettier-ignore
    ask(async () => { learn({ roleId: await client.readRoleId(role) }); }); // prettier-ignore
    ask(async () => { learn({ accessors: await client.listSecretIdAccessors(role) }); }); // prettier-ignore
  }
  for (const { service, role } of options.consumers) {
    const found = files.get(service) ?? {
      roleId: { state: 'missing' },
      secretId: { state: 'missing' },
      issued: { superseded: [] },
    };
    consumers.set(service, { files: found, secretId: undefined });
    const { secretId } = found;
    if (secretId.state !== 'there' || !existing.includes(role)) continue;
    ask(async () => {
      consumers.set(service, {
        files: found,
        secretId: await client.lookupSecretId({ role, secretId: secretId.value }),
      });
    });
  }
  await mapLimited(questions, concurrency, (question) => question());
  return {
    kv: mounts['secret'],
    approle,
    audit,
    roles,
    consumers,
    strays: await straysOf(client, concurrency, roles, consumers),
  };
}

async function straysOf(
  client: VaultClient,
  concurrency: number,
  roles: ReadonlyMap<string, RoleState>,
  consumers: ReadonlyMap<string, ConsumerState>,
): Promise<BootstrapState['strays']> {
  const used = new Set([...consumers.values()].flatMap((consumer) => consumer.secretId?.accessor ?? []));
  const others = [...roles].flatMap(([role, state]) =>
    state.accessors.filter((accessor) => !used.has(accessor)).map((accessor) => ({ role, accessor })),
  );
  const infos = await mapLimited(others, concurrency, async ({ role, accessor }) => {
    const info = await client.lookupSecretIdAccessor({ role, accessor });
    return info === undefined ? [] : [[accessor, { ...info, accessor, role }] as const];
  });
  return new Map(infos.flat());
}
