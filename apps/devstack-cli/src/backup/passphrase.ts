import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import { checkPassphrase, readPassphraseFile, readPassphraseStream } from '@devstack-core/backup-crypto';
import { DevstackError } from '@devstack-core/errors';
import { Secret } from '@devstack-core/redaction';
import { stringArgument, type Arguments } from '../command.ts';
import type { Context } from '../context.ts';

/** What a passphrase is needed for: a new one is asked for twice and must be strong. */
export type PassphraseUse = 'new' | 'existing';

/**
 * The passphrase of backups: from the file of `--passphrase-file`, from standard input with `--passphrase-stdin`, from the file that
 * VAULT_BACKUP_PASSPHRASE_FILE names, from VAULT_BACKUP_PASSPHRASE, or asked for on the terminal; the first of these that is there.
 * Throws PASSPHRASE_INVALID, PASSPHRASE_MISSING.
 */
export async function readPassphrase(args: Arguments, context: Context, use: PassphraseUse): Promise<Secret> {
  const file = stringArgument(args, 'passphrase-file') ?? context.env['VAULT_BACKUP_PASSPHRASE_FILE'];
  if (args['passphrase-stdin'] === true) return readPassphraseStream(process.stdin);
  if (file !== undefined && file !== '') return readPassphraseFile(file);
  const value = context.env['VAULT_BACKUP_PASSPHRASE'];
  if (value !== undefined && value !== '') return checked(new Secret(value));
  if (context.interactive) return ask(context, use);
  throw new DevstackError({
    code: 'PASSPHRASE_MISSING',
    message: 'Backups are encrypted with a passphrase, and none was given.',
    hint: 'Name a file with --passphrase-file or VAULT_BACKUP_PASSPHRASE_FILE; "devstack backup passphrase FILE" makes one. Keep a copy away from this machine.',
  });
}

async function ask(context: Context, use: PassphraseUse): Promise<Secret> {
  const first = await askHidden('Passphrase of the backups: ', context);
  if (use === 'existing') return first;
  checkPassphrase(first);
  const second = await askHidden('The same again: ', context);
  if (first.reveal() === second.reveal()) return first;
  throw new DevstackError({ code: 'PASSPHRASE_INVALID', message: 'The two are not the same.', hint: 'Try again.' });
}

async function askHidden(question: string, context: Context): Promise<Secret> {
  process.stderr.write(question);
  // What is typed is echoed by the line editor, not by the terminal: it gets nowhere to write.
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  const readline = createInterface({ input: process.stdin, output: nowhere, terminal: true });
  try {
    return new Secret(await readline.question('', { signal: context.signal }));
  } finally {
    readline.close();
    process.stderr.write('\n');
  }
}

function checked(passphrase: Secret): Secret {
  checkPassphrase(passphrase);
  return passphrase;
}
