import { join } from 'node:path';
import type { SecretIdInfo, VaultClient } from '@devstack-core/vault-client';
import { defaultConcurrency, sameCidrs, type Consumer } from './definitions.ts';
import { mapLimited } from './each.ts';
import { readLoginFiles, type FoundFile, type LoginFiles } from './login-files.ts';
import { belongsTo } from './plan.ts';

/** What is wrong with a role-id file, if anything. */
export type RoleIdState = 'matches' | 'missing' | 'empty' | 'too-open' | 'unreadable' | 'differs' | 'no-role';

/**
 * What is wrong with a secret_id file, if anything. `foreign`: it is valid, but of another service or role. `wrong-network`: it is bound to
 * other addresses than the service has. `revoked`: Vault does not know it, though it would not have expired yet.
 */
export type SecretIdState =
  | 'valid' | 'missing' | 'empty' | 'too-open' | 'unreadable' | 'expired' | 'revoked' | 'foreign' | 'wrong-network'; // prettier-ignore

/** One login. */
export interface AppRoleStatus {
  readonly service: string;
  readonly role: string;
  readonly roleIdMatches: boolean;
  readonly roleId: RoleIdState;
  readonly secretId: SecretIdState;
  /** ISO 8601; where it is known. */
  readonly expiresAt?: string;
  readonly addresses: readonly string[];
  /** Live secret_ids of this service; more than one while a rotation is not finished. */
  readonly accessors: number;
  /** A sentence for a person where something is wrong. */
  readonly note?: string;
}

/** A row for a table, everything text. */
export interface AppRoleStatusRow {
  readonly service: string;
  readonly role: string;
  readonly roleId: string;
  readonly secretId: string;
  readonly expiresAt: string;
  readonly secretIds: string;
  readonly note: string;
}

/** What the status needs of a client: the `operator` role may do it. */
type StatusClient = Pick<
  VaultClient,
  'readRoleId' | 'lookupSecretId' | 'listSecretIdAccessors' | 'lookupSecretIdAccessor'
>;

/** Compares the login files with Vault, changing neither. A fault of a file is a value. */
export async function approleStatus(options: {
  readonly client: StatusClient;
  readonly consumers: readonly Consumer[];
  readonly directory: string;
  readonly concurrency?: number;
  readonly now?: () => Date;
}): Promise<readonly AppRoleStatus[]> {
  const { client, consumers, directory, concurrency = defaultConcurrency } = options;
  const now = options.now?.() ?? new Date();
  const roles = [...new Set(consumers.map((consumer) => consumer.role))];
  const known = new Map(
    await mapLimited(roles, concurrency, async (role) => {
      const roleId = await client.readRoleId(role);
      return [role, { roleId, secretIds: roleId === undefined ? [] : await secretIdsOf(client, role) }] as const;
    }),
  );
  return mapLimited(consumers, concurrency, async (consumer) => {
    const files = await readLoginFiles(join(directory, consumer.service));
    const role = known.get(consumer.role);
    const live = (role?.secretIds ?? []).filter((info) => belongsTo(info.metadata, consumer) && !isPast(info, now));
    const roleId = roleIdState(files.roleId, role?.roleId);
    const secretId = await secretIdState({ client, consumer, files, roles, now });
    return {
      service: consumer.service,
      role: consumer.role,
      roleIdMatches: roleId === 'matches',
      roleId,
      secretId: secretId.state,
      ...(secretId.expiresAt === undefined ? {} : { expiresAt: secretId.expiresAt }),
      addresses: consumer.addresses,
      accessors: live.length,
      ...noteOf(roleId, secretId, live.length),
    };
  });
}

/** The status as rows of a table. */
export function approleStatusRows(status: readonly AppRoleStatus[]): readonly AppRoleStatusRow[] {
  return status.map((one) => ({
    service: one.service,
    role: one.role,
    roleId: one.roleId,
    secretId: one.secretId,
    expiresAt: one.expiresAt ?? '',
    secretIds: String(one.accessors),
    note: one.note ?? '',
  }));
}

interface FoundSecretId {
  readonly state: SecretIdState;
  readonly expiresAt?: string;
  readonly note?: string;
}

function roleIdState(file: FoundFile, server: string | undefined): RoleIdState {
  if (file.state !== 'there') return file.state;
  if (server === undefined) return 'no-role';
  return file.value.reveal() === server ? 'matches' : 'differs';
}

async function secretIdState(options: {
  readonly client: StatusClient;
  readonly consumer: Consumer;
  readonly files: LoginFiles;
  readonly roles: readonly string[];
  readonly now: Date;
}): Promise<FoundSecretId> {
  const { client, consumer, files, now } = options;
  const { secretId: file, issued } = files;
  if (file.state !== 'there') return { state: file.state };
  const own = await client.lookupSecretId({ role: consumer.role, secretId: file.value });
  if (own !== undefined) return judge(own, consumer, now);
  for (const role of options.roles.filter((candidate) => candidate !== consumer.role)) {
    const other = await client.lookupSecretId({ role, secretId: file.value });
    if (other !== undefined)
      return { state: 'foreign', note: `it is a secret_id of ${other.metadata['service'] ?? `role ${role}`}` };
  }
  // Vault forgets an expired one within a minute; the record beside the file remembers until when it was good.
  const recorded = issued.expiresAt;
  const expired = recorded !== undefined && Date.parse(recorded) <= now.getTime();
  return { state: expired ? 'expired' : 'revoked', ...(expired ? { expiresAt: recorded } : {}) };
}

function judge(info: SecretIdInfo, consumer: Consumer, now: Date): FoundSecretId {
  const expiresAt = info.expirationTime === undefined ? {} : { expiresAt: new Date(info.expirationTime).toISOString() };
  if (isPast(info, now)) return { state: 'expired', ...expiresAt };
  if (!belongsTo(info.metadata, consumer)) {
    return {
      state: 'foreign',
      ...expiresAt,
      note: `it is a secret_id of ${info.metadata['service'] ?? 'somebody else'}`,
    };
  }
  if (!sameCidrs(info.cidrs, consumer.addresses)) {
    return { state: 'wrong-network', ...expiresAt, note: `it works from ${info.cidrs.join(', ')} only` };
  }
  return { state: 'valid', ...expiresAt };
}

function noteOf(roleId: RoleIdState, secretId: FoundSecretId, live: number): { readonly note?: string } {
  const notes = [
    ...(roleId === 'no-role' ? ['Vault has no such role'] : []),
    ...(roleId === 'differs' ? ['the role_id is that of another Vault or role'] : []),
    ...(secretId.note === undefined ? [] : [secretId.note]),
    ...(secretId.state === 'valid' && live > 1 ? [`${String(live - 1)} older secret_id still valid`] : []),
  ];
  if (roleId !== 'matches' || secretId.state !== 'valid') notes.push('the bootstrap mends it');
  return notes.length === 0 ? {} : { note: notes.join('; ') };
}

async function secretIdsOf(client: StatusClient, role: string): Promise<readonly SecretIdInfo[]> {
  const infos = await Promise.all(
    (await client.listSecretIdAccessors(role)).map((accessor) => client.lookupSecretIdAccessor({ role, accessor })),
  );
  return infos.filter((info) => info !== undefined);
}

function isPast(info: SecretIdInfo, now: Date): boolean {
  return info.expirationTime !== undefined && Date.parse(info.expirationTime) <= now.getTime();
}
