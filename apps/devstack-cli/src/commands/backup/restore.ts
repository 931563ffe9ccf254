import { createInterface } from 'node:readline/promises';
import type { BackupStore } from '@devstack-core/backup-store';
import { DevstackError, ExitCode } from '@devstack-core/errors';
import { decryptBackup, restoreStack, type RestoredPart } from '@devstack-core/stack-backup';
import { chosenSet, openStore } from '../../backup/store.ts';
import { stringArgument, type Arguments, type Outcome } from '../../command.ts';
import type { Context } from '../../context.ts';
import { table } from '../../output/table.ts';
import { namesOf } from './create.ts';
import { row } from './list.ts';

export async function run(args: Arguments, context: Context): Promise<Outcome> {
  const stack = await context.stack();
  const store = await openStore(args, context, { project: stack.project.id, use: 'existing' });
  const named = stringArgument(args, 'id');
  const id = named === undefined ? await chooseFromMenu(store, context) : await chosenSet(store, named);
  const only = namesOf(args);
  const to = stringArgument(args, 'to');
  if (to !== undefined) {
    const files = await decryptBackup(store, {
      id,
      only,
      directory: to,
      onEvent: context.onEvent,
      signal: context.signal,
    });
    return {
      data: { schema: 'devstack/backup-decrypt/1', id, directory: to, files },
      text: `${String(files.length)} decrypted files are in ${to}: they hold passwords. What to do with each: ${store.directory}/${id}/RECOVERY.md\n`,
    };
  }
  await context.confirm(
    `This replaces ${only === undefined ? 'the databases of the running stack' : only.join(', ')} by what the backup ${id} holds.`,
    args['yes'] === true,
  );
  const compared = await restoreStack(stack, store, {
    id,
    only,
    onEvent: context.onEvent,
    signal: context.signal,
  });
  const different = compared.filter(
    ({ consistency, differences }) => consistency === 'exact' && (differences ?? []).length > 0,
  );
  return {
    data: { schema: 'devstack/backup-restore/1', id, parts: compared },
    text: `${table(['service', 'part', 'compared with the backup'], compared.map(comparedRow))}Backup ${id} is restored.\n`,
    exitCode: different.length > 0 ? ExitCode.findings : ExitCode.done,
  };
}

/** One restored part as a row of a table. */
export function comparedRow({ service, part, consistency, differences }: RestoredPart): readonly string[] {
  if (differences === null) return [service, part, 'the backup has no fingerprint of it'];
  if (differences.length === 0) return [service, part, 'the same'];
  const [first] = differences;
  const what = `${first?.kind ?? ''} ${first?.name ?? ''}: ${first?.problem ?? ''}`;
  return [
    service,
    part,
    `${consistency === 'exact' ? 'DIFFERENT' : 'different (approximate)'}: ${what}${differences.length > 1 ? `, and ${String(differences.length - 1)} more` : ''}`,
  ];
}

async function chooseFromMenu(store: BackupStore, context: Context): Promise<string> {
  const sets = (await store.list()).filter(({ status }) => status === 'complete');
  if (sets.length === 0) return chosenSet(store, undefined);
  if (!context.interactive)
    throw new DevstackError({
      code: 'USAGE',
      message: 'Name a set: there is no terminal to choose on.',
      hint: `The latest is ${sets[0]?.id ?? ''}; see devstack backup list`,
    });
  context.write(
    table(
      ['', 'set', 'age', 'size', 'kind', 'state', 'verified', 'content'],
      sets.map((set, index) => [String(index + 1), ...row(set)]),
    ),
  );
  const readline = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = (await readline.question('Which one? ', { signal: context.signal })).trim();
    const chosen = sets[Number(answer) - 1] ?? sets.find(({ id }) => id === answer);
    if (chosen !== undefined) return chosen.id;
    throw new DevstackError({ code: 'DECLINED', message: 'Nothing was chosen, and nothing was changed.' });
  } finally {
    readline.close();
  }
}
