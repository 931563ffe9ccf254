import { monthlySummaries, type HistoryRecord, type MonthlySummary, type Tally } from '@devstack-core/backup-store';
import { openStoreToLook } from '../../backup/store.ts';
import type { Arguments, Outcome } from '../../command.ts';
import type { Context } from '../../context.ts';
import { table } from '../../output/table.ts';

export async function run(args: Arguments, context: Context): Promise<Outcome> {
  const { project } = await context.stack();
  const history = await (await openStoreToLook(args, context, project.id)).history();
  const months = monthlySummaries(history);
  if (history.length === 0)
    return { data: { schema: 'devstack/backup-history/1', history, months }, text: 'Nothing has happened yet.\n' };
  return {
    data: { schema: 'devstack/backup-history/1', history, months },
    text:
      args['months'] === true
        ? table(
            ['month', 'backups', 'verifications', 'restores', 'recoveries', 'RTO', 'never verified'],
            months.map(monthRow),
          )
        : table(['at (UTC)', 'what', 'outcome', 'set', 'took', ''], history.map(eventRow)),
  };
}

function eventRow(record: HistoryRecord): readonly string[] {
  return [
    record.at.slice(0, 19).replace('T', ' '),
    record.level === undefined ? record.event : `${record.event}, level ${String(record.level)}`,
    record.outcome,
    record.set ?? '',
    record.durationMs === undefined ? '' : `${(record.durationMs / 1000).toFixed(1)} s`,
    record.code ?? '',
  ];
}

function monthRow(month: MonthlySummary): readonly string[] {
  const rto = month.rtoMs === null ? '' : `${(month.rtoMs.p50 / 60_000).toFixed(1)} min`;
  return [
    month.month,
    tally(month.backups),
    tally(month.verifications),
    tally(month.restores),
    tally(month.recoveries),
    rto,
    month.unverifiedServices.join(' '),
  ];
}

function tally({ succeeded, failed, inconclusive }: Tally): string {
  const bad = [
    ...(failed > 0 ? [`${String(failed)} failed`] : []),
    ...(inconclusive > 0 ? [`${String(inconclusive)} unclear`] : []),
  ];
  return [String(succeeded), ...bad].join(', ');
}
