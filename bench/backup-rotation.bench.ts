import { randomInt } from 'node:crypto';
import fc from 'fast-check';
import { civilDate, defaultPolicy, planRotation } from '../packages/data/backup-rotation/src/index.ts';
import { histories, type History } from '../packages/data/backup-rotation/test/histories.ts';
import { brokenInvariants } from '../packages/data/backup-rotation/test/invariants.ts';
import { literalRule } from '../packages/data/backup-rotation/test/literal-rule.ts';
import { dailySets, weekdaysOnly } from '../packages/data/backup-rotation/test/sets.ts';
import { inTurns, median } from './lib/measure.ts';
import { report } from './lib/report.ts';

// What must hold after every rotation, over random pasts, each time other ones: beside the rule taken at its word, as scripts do it.

const count = 10_000;
const rounds = 5;
const seed = randomInt(2 ** 31);

process.stderr.write(`making ${String(count)} histories (seed ${String(seed)})\n`);
const pasts = fc.sample(histories, { numRuns: count, seed });

function brokenBy(rule: (history: History) => ReadonlySet<string>): number {
  return pasts.filter((history) => {
    const { sets, now, timeZone } = history;
    return brokenInvariants(sets, rule(history), { now, today: civilDate(now, timeZone) }).length > 0;
  }).length;
}

const ours = ({ sets, now, timeZone }: History): ReadonlySet<string> =>
  new Set(planRotation(sets, defaultPolicy, { now, timeZone }).keep.map(({ id }) => id));
const brokenOurs = brokenBy(ours);
const brokenLiteral = brokenBy(({ sets }) => literalRule(sets));
if (brokenLiteral === 0) throw new Error('The rule at its word broke nothing: these histories prove nothing.');

process.stderr.write('measuring\n');
const now = new Date('2026-11-20T20:00:00Z');
const many = dailySets('2026-11-20', 1000);
const times = await inTurns(
  rounds,
  () => Promise.resolve(planRotation(many, defaultPolicy, { now, timeZone: 'Europe/Berlin' })),
  () => Promise.resolve(literalRule(many)),
);
const weekdays = dailySets('2026-11-20', 400, weekdaysOnly);
const planMs = median(times.ours);

report(
  'backup-rotation',
  [
    {
      what: `random histories of ${String(count)} in which a promise is broken`,
      ours: brokenOurs,
      peer: brokenLiteral,
      unit: 'histories',
      target: '0',
      met: brokenOurs === 0,
    },
    {
      what: 'sets kept of 400 days on which weekends were off',
      ours: planRotation(weekdays, defaultPolicy, { now, timeZone: 'UTC' }).keep.length,
      peer: literalRule(weekdays).size,
      unit: 'sets',
      target: '22',
      met: planRotation(weekdays, defaultPolicy, { now, timeZone: 'UTC' }).keep.length === 22,
    },
    {
      what: 'a plan for 1,000 sets',
      ours: planMs,
      peer: median(times.peer),
      unit: 'ms',
      target: '100 ms',
      met: planMs <= 100,
    },
  ],
  [
    'The peer is the rule at its word: the newest of 7 days, of 4 Sundays and of 12 firsts of a month; nothing is protected.',
    `Promises: the newest, the last verified of each service, needed bases, pins, the future and what is foreign stay; days, weeks and months have what they are due. Seed ${String(seed)}.`,
  ],
);
