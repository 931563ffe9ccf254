import type { Finding, Severity } from '@devstack-core/audit-report';

/** One part of the score. */
export interface ScorePart {
  readonly name: 'capabilities' | 'isolation' | 'hardening' | 'allowlist';
  /** What can be had at most. */
  readonly max: number;
  /** 0 to `max`, to one decimal. */
  readonly value: number;
  readonly findings: number;
}

/** How good it is, and why. */
export interface Score {
  /** 0 to 100, to one decimal: the sum of the parts. */
  readonly value: number;
  readonly parts: readonly ScorePart[];
}

/** What became of a score since an earlier run. */
export interface ScoreChange {
  readonly before: number;
  readonly after: number;
  readonly change: number;
  readonly parts: readonly {
    readonly name: string;
    readonly before: number;
    readonly after: number;
    readonly change: number;
  }[];
}

/** A finding, and the part of the score that it lowers. */
export interface GradedFinding {
  readonly area: Area;
  readonly finding: Finding;
}

type Area = ScorePart['name'];

const maxima: Readonly<Record<Area, number>> = { capabilities: 35, isolation: 35, hardening: 25, allowlist: 5 };
const costs: Readonly<Record<Severity, number>> = { critical: 1, high: 0.5, medium: 0.2, low: 0.05, info: 0 };

/**
 * Each part is its maximum times what its subjects keep: every finding costs its subject by severity, a subject that could not be looked at
 * keeps nothing, and the part is half the mean of all and half the worst, so that one bad container among a hundred is seen.
 */
export function scoreOf(
  findings: readonly GradedFinding[],
  subjects: readonly string[],
  unseen: ReadonlySet<string>,
): Score {
  const parts = (Object.entries(maxima) as [Area, number][]).map(([name, max]) => {
    const own = findings.filter((one) => lowers(one, name)).map(({ finding }) => finding);
    const kept = (name === 'allowlist' ? ['allowlist'] : subjects).map((subject) => {
      if (unseen.has(subject)) return 0;
      const cost = own
        .filter((finding) => name === 'allowlist' || finding.subject === subject)
        .reduce((sum, { severity }) => sum + costs[severity], 0);
      return Math.max(0, 1 - cost);
    });
    const mean = kept.reduce((sum, value) => sum + value, 0) / Math.max(1, kept.length);
    const value = kept.length === 0 ? 0 : (max * (mean + Math.min(...kept))) / 2;
    return { name, max, value: rounded(value), findings: own.length };
  });
  return { value: rounded(parts.reduce((sum, part) => sum + part.value, 0)), parts };
}

// A privileged container has every capability, which is told once.
function lowers({ area, finding }: GradedFinding, part: Area): boolean {
  return area === part || (part === 'capabilities' && finding.ruleId === 'privileged-container');
}

/** What changed between two runs; a part that one of them lacks counts as 0. */
export function compareScores(before: Score, after: Score): ScoreChange {
  const names = [...new Set([...before.parts, ...after.parts].map(({ name }) => name))];
  const valueIn = (score: Score, name: string): number => score.parts.find((part) => part.name === name)?.value ?? 0;
  return {
    before: before.value,
    after: after.value,
    change: rounded(after.value - before.value),
    parts: names.map((name) => {
      const [was, is] = [valueIn(before, name), valueIn(after, name)];
      return { name, before: was, after: is, change: rounded(is - was) };
    }),
  };
}

function rounded(value: number): number {
  return Math.round(value * 10) / 10;
}
