import type { StoreContext } from './context.ts';
import { readHistory, type HistoryRecord } from './history.ts';
import { listSets, type SetEntry } from './list.ts';

/**
 * The store as Prometheus sees it, in the text format 0.0.4, for the textfile collector of the node exporter. Alarm on the age of the last success
 * and of the last restore test, not on failures alone: a backup that silently stopped never fails.
 */
export async function storeMetrics(context: StoreContext): Promise<string> {
  const sets = await listSets(context);
  const history = await readHistory(context);
  const newest = sets.find(({ status }) => status === 'complete');
  const creates = history.filter(({ event }) => event === 'create');
  const tests = history.filter(({ event, level }) => event === 'verify' && level === 3);
  return [
    metric('last_success_timestamp_seconds', 'When the newest complete backup was begun.', [
      [{}, seconds(newest?.createdAt)],
    ]),
    metric('last_status', 'Whether the last run succeeded: 1 or 0.', [[{}, status(creates.at(-1))]]),
    metric('last_size_bytes', 'Size of the newest complete backup.', [[{}, newest?.bytes]]),
    metric('last_duration_seconds', 'How long the last successful run took.', [
      [{}, inSeconds(creates.findLast(({ outcome }) => outcome === 'succeeded')?.durationMs)],
    ]),
    metric('last_restore_test_timestamp_seconds', 'When a backup was last restored on trial, and found right.', [
      [{}, seconds(tests.findLast(({ outcome }) => outcome === 'succeeded')?.at)],
    ]),
    metric('last_restore_test_status', 'Whether the last trial restore found it right: 1 or 0.', [
      [{}, status(tests.at(-1))],
    ]),
    metric(
      'service_last_success_timestamp_seconds',
      'When the newest complete backup of a service was begun.',
      perService(sets, 'services'),
    ),
    metric(
      'service_last_verified_timestamp_seconds',
      'When the newest backup of a service that was restored on trial was begun.',
      perService(sets, 'verifiedServices'),
    ),
    metric('sets', 'Folders of the store by what they are.', countsOf(sets)),
    metric('sets_size_bytes', 'Size of all of them.', [[{}, sets.reduce((sum, { bytes }) => sum + bytes, 0)]]),
  ].join('');
}

type Sample = readonly [labels: Readonly<Record<string, string>>, value: number | undefined];

function metric(name: string, help: string, samples: readonly Sample[]): string {
  const whole = `devstack_backup_${name}`;
  // A metric without a value is left out: a 0 would say "in 1970".
  const lines = samples.flatMap(([labels, value]) =>
    value === undefined ? [] : [`${whole}${labelText(labels)} ${String(value)}\n`],
  );
  return lines.length === 0 ? '' : `# HELP ${whole} ${help}\n# TYPE ${whole} gauge\n${lines.join('')}`;
}

function labelText(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(
    ([name, value]) => `${name}="${value.replace(/\\/g, '\\\\').replace(/"/g, '\\"').replace(/\n/g, '\\n')}"`,
  );
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}

function perService(sets: readonly SetEntry[], field: 'services' | 'verifiedServices'): readonly Sample[] {
  const complete = sets.filter(({ status }) => status === 'complete');
  const services = [...new Set(complete.flatMap((set) => set[field]))].toSorted();
  return services.map((service) => [
    { service },
    seconds(complete.find((set) => set[field].includes(service))?.createdAt),
  ]);
}

function countsOf(sets: readonly SetEntry[]): readonly Sample[] {
  return [...Map.groupBy(sets, ({ status }) => status)]
    .map(([state, some]): Sample => [{ status: state }, some.length])
    .toSorted(([a], [b]) => ((a['status'] ?? '') < (b['status'] ?? '') ? -1 : 1));
}

function status(record: HistoryRecord | undefined): number | undefined {
  return record === undefined ? undefined : Number(record.outcome === 'succeeded');
}

function seconds(moment: string | undefined): number | undefined {
  return moment === undefined ? undefined : Math.round(Date.parse(moment) / 1000);
}

function inSeconds(ms: number | undefined): number | undefined {
  return ms === undefined ? undefined : ms / 1000;
}
