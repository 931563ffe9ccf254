import { join } from 'node:path';
import type { IssuedSecretId, SecretIdInfo, VaultClient } from '@devstack-core/vault-client';
import { normalizedCidrs, type Consumer } from './definitions.ts';
import { writeLoginFile, writeRecord, type IssuedRecord } from './login-files.ts';
import { issuer } from './plan.ts';

/** Where the replacement of a secret_id is: what a test interrupts. */
export type IssueMoment = 'superseded' | 'issued' | 'written' | 'recorded';

/** What was put in place. */
export interface Replacement {
  readonly issued: IssuedSecretId;
  readonly expiresAt: string;
  readonly superseded: IssuedRecord['superseded'];
}

/**
 * Puts a new secret_id in a consumer's file. The one it replaces stays valid, and is written down as superseded before the new one is
 * made; so at no moment, killed or not, is there a file without a valid secret_id or a live secret_id that nobody knows of.
 */
export async function replaceSecretId(options: {
  readonly client: VaultClient;
  readonly consumer: Consumer;
  readonly directory: string;
  readonly ttlS: number;
  /** The live one in the file now. */
  readonly current: SecretIdInfo | undefined;
  /** Those superseded earlier that are still alive. */
  readonly superseded: IssuedRecord['superseded'];
  readonly now: Date;
  readonly onMoment?: ((moment: IssueMoment) => void) | undefined;
}): Promise<Replacement> {
  const { client, consumer, current, now, onMoment } = options;
  const directory = join(options.directory, consumer.service);
  const superseded =
    current === undefined
      ? options.superseded
      : [...options.superseded, { accessor: current.accessor, at: now.toISOString() }];
  if (current !== undefined) {
    await writeRecord(directory, { superseded });
    onMoment?.('superseded');
  }
  const cidrs = normalizedCidrs(consumer.addresses);
  const issued = await client.createSecretId({
    role: consumer.role,
    cidrs,
    tokenCidrs: cidrs,
    ttlS: options.ttlS,
    metadata: { service: consumer.service, issuer },
  });
  onMoment?.('issued');
  await writeLoginFile(directory, 'secret-id', issued.secretId);
  onMoment?.('written');
  const expiresAt = new Date(now.getTime() + issued.ttlS * 1000).toISOString();
  await writeRecord(directory, { accessor: issued.accessor, expiresAt, superseded });
  onMoment?.('recorded');
  return { issued, expiresAt, superseded };
}

/** Those superseded entries that Vault still knows. */
export function stillAlive(record: IssuedRecord, strays: ReadonlyMap<string, unknown>): IssuedRecord['superseded'] {
  return record.superseded.filter((entry) => strays.has(entry.accessor));
}
