import { readFile } from 'node:fs/promises';
import { compareScores, type Score } from '@devstack-core/capability-audit';
import { DevstackError } from '@devstack-core/errors';
import { adviceOn, adviceText } from '../../audits/advice.ts';
import { capabilitiesOf } from '../../audits/capabilities.ts';
import { present } from '../../audits/present.ts';
import { requireRunning } from '../../audits/require-running.ts';
import { stringArgument, type Arguments, type Outcome } from '../../command.ts';
import type { Context } from '../../context.ts';
import { table } from '../../output/table.ts';

export async function run(args: Arguments, context: Context): Promise<Outcome> {
  const service = stringArgument(args, 'advise');
  if (service !== undefined) return runAdvice(service, args, context);
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

/** Restarts a service with fewer and fewer capabilities, and says which it needs. */
async function runAdvice(service: string, args: Arguments, context: Context): Promise<Outcome> {
  const timeoutS = Number(stringArgument(args, 'timeout') ?? '120');
  if (!Number.isFinite(timeoutS) || timeoutS <= 0)
    throw usage(`--timeout is ${JSON.stringify(args['timeout'])}; it takes seconds above 0.`);
  if (stringArgument(args, 'format') === 'sarif')
    throw usage('Advice has no findings, so there is no SARIF of it.', 'Leave --format out, or use --json.');
  const stack = await context.stack();
  await requireRunning(stack, [service]);
  await context.confirm(
    `This restarts ${service} several times with its own data, with fewer capabilities each time, to see which it needs; what uses it is refused meanwhile.`,
    args['yes'] === true,
  );
  const candidates = (stringArgument(args, 'candidates') ?? '').split(',').map((name) => name.trim());
  const advice = await adviceOn(stack, context, {
    service,
    candidates: candidates.filter((name) => name !== ''),
    timeoutMs: timeoutS * 1000,
  });
  const data = { schema: 'devstack/audit-advice/1', ...advice };
  const isJson = stringArgument(args, 'format') === 'json';
  return { data, text: isJson ? `${JSON.stringify(data, null, 2)}\n` : adviceText(advice) };
}

function usage(message: string, hint?: string): DevstackError {
  return new DevstackError({ code: 'USAGE', message, ...(hint === undefined ? {} : { hint }) });
}

/** The score of an earlier run, from its `--json`. */
async function readScore(path: string): Promise<Score> {
  try {
    const { score } = JSON.parse(await readFile(path, 'utf8')) as { score?: Partial<Score> };
    const isPart = (part: Partial<Score['parts'][number]>): boolean =>
      typeof part.name === 'string' && typeof part.value === 'number';
    if (typeof score?.value === 'number' && Array.isArray(score.parts) && score.parts.every(isPart))
      return { value: score.value, parts: score.parts };
  } catch {
    // Said below.
  }
  throw usage(
    `--baseline ${path} is not the JSON of an earlier audit of capabilities.`,
    'Make one with: devstack audit capabilities --json > before.json',
  );
}
