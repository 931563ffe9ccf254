import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { ensurePrivateDirectory } from '@devstack-core/durable-files';
import { DevstackError, isDevstackError } from '@devstack-core/errors';
import type { Secret } from '@devstack-core/redaction';
import type { SecretIdInfo, VaultClient } from '@devstack-core/vault-client';
import { defaultConcurrency, defaultSecretIdTtlS, type Consumer } from './definitions.ts';
import { mapLimited } from './each.ts';
import { VaultAppRoleErrorCode } from './errors.ts';
import { replaceSecretId, type IssueMoment } from './issue.ts';
import { readLoginFiles, writeRecord, type IssuedRecord } from './login-files.ts';
import { belongsTo } from './plan.ts';

/** What happens during a rotation. */
export interface RotationEvent {
  readonly type: IssueMoment | 'delivered' | 'pruned';
  readonly service: string;
}

/** What to rotate. */
export interface RotateSecretIdsOptions {
  /** The `operator` role may do it. */
  readonly client: VaultClient;
  readonly consumers: readonly Consumer[];
  readonly directory: string;
  /** Brings the new one to where its owner reads it; called once for each consumer, one after another. Nothing old is removed before it is done. */
  readonly deliver?: (consumer: Consumer, secretId: Secret) => Promise<void>;
  /** Whether the old ones are destroyed at the end; true unless given. */
  readonly prune?: boolean;
  /** Between delivery and destruction: time for a login that has read the old file just before. 2000 unless given. */
  readonly graceMs?: number;
  readonly secretIdTtlS?: number;
  readonly concurrency?: number;
  readonly onEvent?: (event: RotationEvent) => void;
  readonly now?: () => Date;
}

/** What one login has now. */
export interface RotatedSecretId {
  readonly service: string;
  readonly role: string;
  readonly accessor: string;
  /** ISO 8601. */
  readonly expiresAt: string;
  /** How many older ones were destroyed. */
  readonly destroyed: number;
}

/**
 * Gives consumers new secret_ids in two phases: all new ones are made, written and delivered while the old ones work, and only then do the
 * old ones go. When it is cut off, the old and the new one both work; a later rotation or bootstrap cleans up. Throws
 * `SECRET_ID_NOT_DELIVERED` naming the service when `deliver` fails: what its container holds still works then.
 */
export async function rotateSecretIds(options: RotateSecretIdsOptions): Promise<readonly RotatedSecretId[]> {
  const { consumers, concurrency = defaultConcurrency, graceMs = 2000, onEvent } = options;
  await ensurePrivateDirectory(options.directory);
  const rotated = await mapLimited(consumers, concurrency, (consumer) => issue(options, consumer));
  for (const { consumer, secretId } of rotated) {
    await deliver(options, consumer, secretId);
    onEvent?.({ type: 'delivered', service: consumer.service });
  }
  const prune = options.prune ?? true;
  if (prune && rotated.some((one) => one.superseded.length > 0)) await delay(graceMs);
  return mapLimited(rotated, concurrency, async ({ consumer, accessor, expiresAt, superseded }) => {
    const report = { service: consumer.service, role: consumer.role, accessor, expiresAt };
    if (!prune) return { ...report, destroyed: 0 };
    for (const old of superseded)
      await options.client.destroySecretIdAccessor({ role: consumer.role, accessor: old.accessor });
    await writeRecord(join(options.directory, consumer.service), { accessor, expiresAt, superseded: [] });
    onEvent?.({ type: 'pruned', service: consumer.service });
    return { ...report, destroyed: superseded.length };
  });
}

interface Issued {
  readonly consumer: Consumer;
  readonly secretId: Secret;
  readonly accessor: string;
  readonly expiresAt: string;
  readonly superseded: IssuedRecord['superseded'];
}

async function issue(options: RotateSecretIdsOptions, consumer: Consumer): Promise<Issued> {
  const { client, onEvent } = options;
  const now = options.now?.() ?? new Date();
  const { secretId: file } = await readLoginFiles(join(options.directory, consumer.service));
  const current =
    file.state === 'there' ? await client.lookupSecretId({ role: consumer.role, secretId: file.value }) : undefined;
  const others = await othersOf(client, consumer, current);
  const { issued, expiresAt, superseded } = await replaceSecretId({
    client,
    consumer,
    directory: options.directory,
    ttlS: options.secretIdTtlS ?? defaultSecretIdTtlS,
    current,
    superseded: others.map((info) => ({ accessor: info.accessor, at: now.toISOString() })),
    now,
    onMoment: (type) => onEvent?.({ type, service: consumer.service }),
  });
  return { consumer, secretId: issued.secretId, accessor: issued.accessor, expiresAt, superseded };
}

/** Every other live one of this consumer: left over from a rotation that was cut off, and perhaps in its container. */
async function othersOf(
  client: VaultClient,
  consumer: Consumer,
  current: SecretIdInfo | undefined,
): Promise<readonly SecretIdInfo[]> {
  const accessors = (await client.listSecretIdAccessors(consumer.role)).filter(
    (accessor) => accessor !== current?.accessor,
  );
  const infos = await Promise.all(
    accessors.map((accessor) => client.lookupSecretIdAccessor({ role: consumer.role, accessor })),
  );
  return infos.filter((info) => info !== undefined).filter((info) => belongsTo(info.metadata, consumer));
}

async function deliver(options: RotateSecretIdsOptions, consumer: Consumer, secretId: Secret): Promise<void> {
  try {
    await options.deliver?.(consumer, secretId);
  } catch (error) {
    throw new DevstackError({
      code: VaultAppRoleErrorCode.notDelivered,
      message: `The new secret_id of ${consumer.service} was not delivered${isDevstackError(error) ? `: ${error.message}` : '.'}`,
      hint: 'The old one still works. Run the rotation again when the cause is mended.',
      details: { service: consumer.service, ...(isDevstackError(error) ? { code: error.code } : {}) },
      ...(isDevstackError(error) ? { cause: error } : {}),
    });
  }
}
