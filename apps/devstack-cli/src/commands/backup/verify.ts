import type { BackupStore } from '@devstack-core/backup-store';
import { renderReport, type VerificationEvent } from '@devstack-core/backup-verification';
import { ExitCode } from '@devstack-core/errors';
import { verifyBackup } from '@devstack-core/stack-backup';
import { chosenSet, openStore } from '../../backup/store.ts';
import { stringArgument, type Arguments, type Outcome } from '../../command.ts';
import type { Context } from '../../context.ts';
import { table } from '../../output/table.ts';
import { namesOf, writeMetrics } from './create.ts';

export async function run(args: Arguments, context: Context): Promise<Outcome> {
  const { project } = await context.stack();
  const store = await openStore(args, context, { project: project.id, use: 'existing' });
  const outcome = await verification(args, context, store);
  await writeMetrics(store, stringArgument(args, 'metrics'));
  return outcome;
}

/** Verifies a set of a store, and says what was found. */
export async function verification(args: Arguments, context: Context, store: BackupStore): Promise<Outcome> {
  const id = await chosenSet(store, stringArgument(args, 'id'));
  const level = levelOf(args);
  const stack = await context.stack();
  const only = namesOf(args);
  const report = await verifyBackup({
    store,
    id,
    level,
    docker: () => stack.engine(),
    labels: { 'io.devstack.project': stack.project.id },
    ...(only === undefined ? {} : { only }),
    signal: context.signal,
    onEvent: (event) => {
      const text = progressOf(event);
      if (text !== undefined) context.onEvent({ type: 'progress', step: 'verify', text });
    },
  });
  const rows = renderReport(report).map((one) => [
    one.service,
    one.part,
    one.verdict,
    one.found,
    `${one.seconds.toFixed(1)} s`,
    one.detail,
  ]);
  const what = ['checksums', 'everything decrypted and parsed', 'everything restored and compared'][level - 1] ?? '';
  return {
    data: report,
    text: `${table(['service', 'part', 'verdict', 'found', 'took', ''], rows)}Backup ${id} is ${report.verdict} (${what}, ${report.seconds.toFixed(0)} s).\n`,
    exitCode:
      report.verdict === 'valid' ? ExitCode.done : report.verdict === 'invalid' ? ExitCode.findings : ExitCode.failed,
  };
}

function levelOf(args: Arguments): 1 | 2 | 3 {
  const text = stringArgument(args, 'level');
  return text === '1' ? 1 : text === '2' ? 2 : 3;
}

function progressOf(event: VerificationEvent): string | undefined {
  if (event.type === 'part') return `${event.service}: ${event.part}: ${event.doing}`;
  if (event.type === 'engine') return `${event.service}: a throwaway engine of ${event.image}`;
  return event.type === 'checksums' ? `checksums: ${event.artifact}` : undefined;
}
