import { readFile } from 'node:fs/promises';
import { compareScores, type Score } from '@devstack-core/capability-audit';
import { DevstackError } from '@devstack-core/errors';
import { capabilitiesOf } from '../../audits/capabilities.ts';
import { present } from '../../audits/present.ts';
import { stringArgument, type Arguments, type Outcome } from '../../command.ts';
import type { Context } from '../../context.ts';
import { table } from '../../output/table.ts';

export async function run(args: Arguments, context: Context): Promise<Outcome> {
  const { report, containers, accepted, score } = await capabilitiesOf(await context.stack(), context);
  const rows = containers.map((one) => [
    one.service,
    one.state,
    one.configured.join(' ') || 'none',
    one.reachable.join(' ') || 'none',
    one.risk,
    one.user,
    one.drift.join(' '),
  ]);
  const baseline = stringArgument(args, 'baseline');
  const change = baseline === undefined ? undefined : compareScores(await readScore(baseline), score);
  const since =
    change === undefined
      ? ''
      : `Since ${baseline ?? ''}: ${change.change > 0 ? '+' : ''}${String(change.change)} (it was ${String(change.before)})\n`;
  const parts = score.parts.map((part) => `${part.name} ${String(part.value)} of ${String(part.max)}`).join(', ');
  return present(args, {
    name: 'capabilities',
    report,
    defaultFile: 'infrastructure/compose/compose.yaml',
    data: { containers, accepted, score, change: change ?? null },
    text: `${table(['service', 'state', 'added', 'reachable', 'risk', 'user', 'drift'], rows)}\nScore ${String(score.value)} of 100: ${parts}\n${since}\n`,
  });
}

/** The score of an earlier run, from its `--json`. */
async function readScore(path: string): Promise<Score> {
  try {
    const { score } = JSON.parse(await readFile(path, 'utf8')) as { score?: Score };
    if (typeof score?.value === 'number') return score;
  } catch {
    // Said below.
  }
  throw new DevstackError({
    code: 'USAGE',
    message: `--baseline ${path} is not the JSON of an earlier audit of capabilities.`,
    hint: 'Make one with: devstack audit capabilities --json > before.json',
    details: { usage: true },
  });
}
