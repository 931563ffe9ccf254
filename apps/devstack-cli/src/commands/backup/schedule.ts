import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { DevstackError } from '@devstack-core/errors';
import {
  installSchedule,
  removeSchedule,
  scheduleMeans,
  showSchedule,
  type Schedule,
} from '@devstack-core/stack-backup';
import { readRecipients, recipientFiles } from '../../backup/recipients.ts';
import { stringArgument, type Arguments, type Outcome } from '../../command.ts';
import type { Context } from '../../context.ts';

export async function run(args: Arguments, context: Context): Promise<Outcome> {
  const stack = await context.stack();
  const action = stringArgument(args, 'action') ?? 'show';
  const passphraseFile = stringArgument(args, 'passphrase-file') ?? context.env['VAULT_BACKUP_PASSPHRASE_FILE'];
  const schedule: Schedule = {
    command: join(stack.project.root, 'devstack'),
    directory: stack.project.root,
    passphraseFile: passphraseFile === undefined ? '/path/to/the/passphrase' : resolve(passphraseFile),
    project: stack.project.id,
    recipients: recipientFiles(args, context),
  };
  const asked = stringArgument(args, 'with');
  const means = asked === 'systemd' || asked === 'cron' ? asked : scheduleMeans();
  const options = { schedule, means, home: homedir(), signal: context.signal };
  const text = showSchedule(options);
  const data = { schema: 'devstack/backup-schedule/1', with: means, text };
  if (action === 'show') return { data, text };
  if (action === 'remove') {
    await removeSchedule(options);
    return {
      data: { ...data, installed: false },
      text: `The schedule of ${stack.project.id} is removed from ${means}.\n`,
    };
  }
  if (action !== 'install')
    throw new DevstackError({
      code: 'USAGE',
      message: `${action} is no action.`,
      hint: 'There are show, install and remove.',
    });
  if (passphraseFile === undefined)
    throw new DevstackError({
      code: 'PASSPHRASE_MISSING',
      message: 'Nobody is there to be asked for a passphrase at night.',
      hint: 'Name its file with --passphrase-file; "devstack backup passphrase FILE" makes one.',
    });
  await readRecipients(args, context);
  await installSchedule(options);
  return {
    data: { ...data, installed: true },
    text: `${text}Installed.${means === 'systemd' ? ' It runs while you are logged in; always, after: loginctl enable-linger' : ''}\n`,
  };
}
