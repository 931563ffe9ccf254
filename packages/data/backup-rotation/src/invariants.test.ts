import fc from 'fast-check';
import { expect, it } from 'vitest';
import { histories, type History } from '../test/histories.ts';
import { brokenInvariants } from '../test/invariants.ts';
import { literalRule } from '../test/literal-rule.ts';
import { civilDate, defaultPolicy, planRotation, recheck, type RotationPlan } from './index.ts';

// Of 10,000 the bench tells, each time other ones.
const numRuns = 2000;
const planned = ({ sets, now, timeZone }: History): RotationPlan =>
  planRotation(sets, defaultPolicy, { now, timeZone });

it(
  'keeps every promise in 2,000 random histories, where the literal rule breaks each of them',
  { timeout: 300_000 },
  () => {
    const literal = new Map<string, number>();
    fc.assert(
      fc.property(histories, (history) => {
        const { sets, now, timeZone } = history;
        const context = { now, today: civilDate(now, timeZone) };
        const plan = planned(history);
        const kept = new Set(plan.keep.map(({ id }) => id));
        expect(brokenInvariants(sets, kept, context)).toEqual([]);
        for (const name of brokenInvariants(sets, literalRule(sets), context))
          literal.set(name, (literal.get(name) ?? 0) + 1);

        // Everything is on one of the two sides, with a reason, and what is freed is what is removed.
        expect(kept.size + plan.remove.length).toBe(sets.length);
        expect(plan.keep.every(({ reasons }) => reasons.length > 0)).toBe(true);
        const removed = new Set(plan.remove.map(({ id }) => id));
        expect(plan.freedBytes).toBe(sets.reduce((sum, { id, bytes }) => sum + (removed.has(id) ? bytes : 0), 0));
        for (const rule of ['daily', 'weekly', 'monthly'] as const) {
          const count = plan.keep.filter(({ reasons }) => reasons.some((reason) => reason.rule === rule)).length;
          expect(count).toBeLessThanOrEqual(defaultPolicy[rule] ?? 0);
        }

        // A removal that is cut short anywhere leaves no set without what it needs.
        const left = new Map(sets.map((set) => [set.id, set]));
        const needed = new Map<string, number>();
        for (const need of sets.flatMap(({ needs }) => needs)) needed.set(need, (needed.get(need) ?? 0) + 1);
        const orphaned: string[] = [];
        for (const { id } of plan.remove) {
          for (const need of left.get(id)?.needs ?? []) needed.set(need, (needed.get(need) ?? 0) - 1);
          left.delete(id);
          if ((needed.get(id) ?? 0) > 0) orphaned.push(id);
          // What is left of the plan still holds on what is left of the sets.
          if (left.size % 16 === 0) {
            const rest = { ...plan, remove: plan.remove.filter((set) => left.has(set.id)) };
            expect(recheck(rest, [...left.values()])).toEqual({ holds: true });
          }
        }
        expect(orphaned).toEqual([]);

        // Once done there is nothing left to do, and the order in which sets are named says nothing.
        expect(planned({ ...history, sets: sets.filter(({ id }) => kept.has(id)) }).remove).toEqual([]);
        expect(planned({ ...history, sets: sets.toReversed() })).toMatchObject({
          planId: plan.planId,
          keep: plan.keep,
          remove: plan.remove,
        });
        expect(recheck(plan, sets)).toEqual({ holds: true });
      }),
      { numRuns },
    );
    // The control: taken at its word the rule loses weeks, months, the newest, the verified, bases, pins and what is not ours.
    expect([...literal.keys()].toSorted()).toEqual([
      'daily',
      'foreign',
      'future',
      'last verified',
      'monthly',
      'needed',
      'newest',
      'newest of a service',
      'pinned',
      'unfinished',
      'weekly',
    ]);
  },
);
