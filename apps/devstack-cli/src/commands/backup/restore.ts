import { createInterface } from 'node:readline/promises';
import type { BackupStore } from '@devstack-core/backup-store';
import { DevstackError, ExitCode } from '@devstack-core/errors';
import {
  decryptBackup,
  physicalOf,
  physicalSetBefore,
  restoreStack,
  type RecoveryTarget,
  type RestoredPart,
} from '@devstack-core/stack-backup';
import { momentOf, momentText } from '../../backup/moment.ts';
import { chosenSet, openStore } from '../../backup/store.ts';
import { stringArgument, type Arguments, type Outcome } from '../../command.ts';
import type { Context } from '../../context.ts';
import { table } from '../../output/table.ts';
import { namesOf } from './create.ts';
import { row } from './list.ts';

export async function run(args: Arguments, context: Context): Promise<Outcome> {
  const target = momentOf(args);
  const stack = await context.stack();
  const store = await openStore(args, context, { project: stack.project.id, use: 'existing' });
  const named = stringArgument(args, 'id');
  const id = await setOf(store, context, named, target);
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
  await context.confirm(await question(store, id, only, target), args['yes'] === true);
  const compared = await restoreStack(stack, store, {
    id,
    only,
    target,
    onEvent: context.onEvent,
    signal: context.signal,
  });
  const different = compared.filter(
    ({ consistency, differences }) => consistency === 'exact' && (differences ?? []).length > 0,
  );
  return {
    data: { schema: 'devstack/backup-restore/1', id, parts: compared },
    text: `${table(['service', 'part', 'compared with the backup'], compared.map(comparedRow))}Backup ${id} is restored${momentText(target)}.\n${keptText(compared)}`,
    exitCode: different.length > 0 ? ExitCode.findings : ExitCode.done,
  };
}

/** One restored part as a row of a table. */
export function comparedRow({ service, part, consistency, differences }: RestoredPart): readonly string[] {
  if (differences === null) return [service, part, 'nothing to compare with'];
  if (differences.length === 0) return [service, part, 'the same'];
  const [first] = differences;
  const what = `${first?.kind ?? ''} ${first?.name ?? ''}: ${first?.problem ?? ''}`;
  return [
    service,
    part,
    `${consistency === 'exact' ? 'DIFFERENT' : 'different (approximate)'}: ${what}${differences.length > 1 ? `, and ${String(differences.length - 1)} more` : ''}`,
  ];
}

// Where a moment is asked for, the latest set is the one before it.
async function setOf(
  store: BackupStore,
  context: Context,
  named: string | undefined,
  target: RecoveryTarget | undefined,
): Promise<string> {
  const isOpen = named === undefined || named === 'latest';
  if (isOpen && target !== undefined && 'time' in target) return physicalSetBefore(store, target.time);
  return named === undefined ? chooseFromMenu(store, context) : chosenSet(store, named);
}

async function question(
  store: BackupStore,
  id: string,
  only: readonly string[] | undefined,
  target: RecoveryTarget | undefined,
): Promise<string> {
  const what = only === undefined ? 'the databases of the running stack' : only.join(', ');
  const base = physicalOf(await store.read(id))?.base;
  const isCluster = base !== undefined && (only === undefined || only.includes('postgres'));
  if (!isCluster) return `This replaces ${what} by what the backup ${id} holds.`;
  const holds = Array.isArray(base.metadata?.['holds']) ? base.metadata['holds'].map(String) : [];
  const along =
    holds.length === 0 ? '' : ` The databases of ${holds.join(' and ')} are in PostgreSQL and go back with it.`;
  const apart =
    holds.includes('forgejo') && only?.includes('forgejo') === false
      ? ' The repositories of forgejo stay as they are: it may know less of them then.'
      : '';
  return `This replaces ${what} by what the backup ${id} holds${momentText(target)}. The whole PostgreSQL is exchanged, and stopped for a moment; the old one is kept.${along}${apart}`;
}

function keptText(compared: readonly RestoredPart[]): string {
  const kept = compared.find(({ keptAt }) => keptAt !== undefined)?.keptAt;
  if (kept === undefined) return '';
  const folder = kept.folder.replace(/\/data$/, '');
  return [
    `The old cluster is in ${kept.folder}, on the volume ${kept.volume}. When it is not needed any more: devstack exec postgres -- rm -rf ${folder}`,
    'Next: devstack backup create --physical; what comes from now on can be gone back to from that set on.',
    '',
  ].join('\n');
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
