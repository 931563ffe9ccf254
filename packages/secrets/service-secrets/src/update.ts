import { DevstackError, isDevstackError } from '@devstack-core/errors';
import type { Secret } from '@devstack-core/redaction';
import type { VaultClient } from '@devstack-core/vault-client';
import { ServiceSecretsErrorCode } from './errors.ts';

/** The calls that secrets need of a client. */
export type KvClient = Pick<VaultClient, 'kvRead' | 'kvWrite' | 'kvMetadata'>;

/** The fields of one secret. */
export type Fields = Readonly<Record<string, Secret>>;

const attempts = 5;

/**
 * Reads a secret, lets `change` say what it should be (undefined: as it is), and writes that only over the version that was read.
 * Starts again when somebody else was faster. Throws `SERVICE_SECRET_CONTENDED` when that happens five times.
 */
export async function update(
  client: KvClient,
  path: string,
  change: (existing: Fields | undefined) => Promise<Fields | undefined>,
): Promise<{ readonly fields: Fields; readonly outcome: 'created' | 'updated' | 'kept'; readonly version: number }> {
  let hidden = false;
  for (let attempt = 1; attempt <= attempts; attempt++) {
    const found = await client.kvRead(path);
    const wanted = await change(found?.data);
    if (wanted === undefined) return { fields: found?.data ?? {}, outcome: 'kept', version: found?.version ?? 0 };
    // Where every version was deleted, a read finds nothing, but the next write is not the first.
    const cas = found?.version ?? (hidden ? ((await client.kvMetadata(path))?.currentVersion ?? 0) : 0);
    try {
      const version = await client.kvWrite(path, wanted, { cas });
      return { fields: wanted, outcome: found === undefined ? 'created' : 'updated', version };
    } catch (error) {
      // An answer that got lost may have been a yes: the next read tells.
      const lost = isDevstackError(error, 'VAULT_UNREACHABLE') && error.details['outcome'] === 'unknown';
      if (!lost && !isDevstackError(error, 'VAULT_CAS_MISMATCH')) throw error;
      hidden = found === undefined;
    }
  }
  throw new DevstackError({
    code: ServiceSecretsErrorCode.contended,
    message: `secret/${path} was changed by somebody else each of the ${String(attempts)} times it was to be written.`,
    hint: 'Find out what else writes it, then run it again.',
    details: { path },
  });
}
