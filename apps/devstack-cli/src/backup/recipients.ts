import { readFile } from 'node:fs/promises';
import { delimiter, resolve } from 'node:path';
import { recipientFingerprint } from '@devstack-core/backup-crypto';
import { DevstackError, isDevstackError } from '@devstack-core/errors';
import { listArgument, type Arguments } from '../command.ts';
import type { Context } from '../context.ts';

/** The files of `--recipient`, or, where there is none, those that DEVSTACK_BACKUP_RECIPIENTS lists, divided as PATH is. */
export function recipientFiles(args: Arguments, { env }: Pick<Context, 'env'>): readonly string[] {
  const asked = listArgument(args, 'recipient');
  const files = asked.length > 0 ? asked : (env['DEVSTACK_BACKUP_RECIPIENTS'] ?? '').split(delimiter);
  return files.filter((file) => file !== '').map((file) => resolve(file));
}

/** The armored public keys in these files, each looked at. Throws BACKUP_RECIPIENT_INVALID that names the file. */
export async function readRecipients(args: Arguments, context: Pick<Context, 'env'>): Promise<readonly string[]> {
  return Promise.all(
    recipientFiles(args, context).map(async (file) => {
      const key = await readFile(file, 'utf8').catch((error: unknown) => {
        throw invalid(file, error instanceof Error ? error.message : 'it cannot be read', error);
      });
      await recipientFingerprint(key).catch((error: unknown) => {
        throw invalid(file, isDevstackError(error) ? error.message : 'it cannot be read', error);
      });
      return key;
    }),
  );
}

function invalid(file: string, why: string, cause: unknown): DevstackError {
  return new DevstackError({
    code: 'BACKUP_RECIPIENT_INVALID',
    message: `${file} is no public key to encrypt with: ${why}`,
    hint: `Write one: gpg --armor --export NAME > ${file}`,
    cause,
  });
}
