import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { generatePassphrase } from '@devstack-core/backup-crypto';
import { writeFileDurable } from '@devstack-core/durable-files';
import { DevstackError } from '@devstack-core/errors';
import { Secret } from '@devstack-core/redaction';
import { readPassphraseFile } from '@devstack-core/backup-crypto';
import { openStore } from '../../backup/store.ts';
import { stringArgument, type Arguments, type Outcome } from '../../command.ts';
import type { Context } from '../../context.ts';

export async function run(args: Arguments, context: Context): Promise<Outcome> {
  const file = resolve(stringArgument(args, 'file') ?? '');
  const isChange = args['change'] === true;
  // A change that was cut off is finished with the file that it has made.
  if (existsSync(file) && !isChange)
    throw new DevstackError({
      code: 'PASSPHRASE_FILE_EXISTS',
      message: `${file} exists already.`,
      hint: 'Name a new file.',
    });
  const project = isChange ? (await context.stack()).project.id : '';
  const store = isChange ? await openStore(args, context, { project, use: 'existing' }) : undefined;
  if (!existsSync(file)) await writeFileDurable(file, new Secret(`${generatePassphrase().reveal()}\n`));
  const changed = await store?.changePassphrase(await readPassphraseFile(file));
  return {
    data: { schema: 'devstack/backup-passphrase/1', file, ...(changed === undefined ? {} : { changed }) },
    text: `The passphrase is in ${file}${changed === undefined ? '' : ', and every set has it now'}. Keep a copy away from this machine: without it no backup can be opened.\nNext: export VAULT_BACKUP_PASSPHRASE_FILE=${file}\n`,
  };
}
