import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { faults, operations, type Cell, type Proof } from './backup-faults.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const pageFile = 'docs/reference/backup-faults.md';

function proofsOf(cell: Cell): readonly Proof[] {
  return 'doesNotApply' in cell ? [] : cell;
}

/** What is wrong with a proof; undefined where its test exists. */
function problemOf({ file, test, case: case_ }: Proof): string | undefined {
  let text: string;
  try {
    text = readFileSync(`${root}${file}`, 'utf8');
  } catch {
    return `${file}: there is no such file`;
  }
  // As the source writes them: in either kind of quotes.
  const has = (wanted: string): boolean =>
    [`'${wanted}'`, `\`${wanted}\``, `"${wanted}"`].some((one) => text.includes(one));
  if (!has(test)) return `${file}: no test is called ${test}`;
  return case_ === undefined || has(case_) ? undefined : `${file}: ${test}: there is no case ${case_}`;
}

describe('the fault matrix of backups', () => {
  it('names a test that exists, or a reason, in every cell', () => {
    const problems = faults.flatMap(({ name, cells }) =>
      operations.flatMap((operation) => {
        const cell = cells[operation];
        if ('doesNotApply' in cell) return cell.doesNotApply.length > 20 ? [] : [`${name}, ${operation}: say why not`];
        if (cell.length === 0) return [`${name}, ${operation}: is empty`];
        return cell.flatMap((proof) => problemOf(proof) ?? []);
      }),
    );
    expect(problems).toEqual([]);
  });

  it('has every fault that was promised, once', () => {
    const names = faults.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    for (const promised of [
      ...[
        'kill -9',
        'SIGTERM',
        'disk full',
        'header',
        'body',
        'MDC',
        'manifest',
        'to nothing',
        'to one byte',
        'to a half',
      ],
      ...['by one byte', 'appended', 'swapped', 'replayed', 'a year ahead', 'a year behind', 'DST', 'wrong passphrase'],
      ...['stopped mid-way', 'schema changed', 'two at once', 'symlink', 'newer format', 'holds something'],
    ])
      expect(
        names.filter((name) => name.includes(promised)),
        promised,
      ).toHaveLength(1);
  });

  it('the control: a file, a test or a case that is not there is found', () => {
    const [whole] = proofsOf(faults.find(({ name }) => name.includes('header'))?.cells.restore ?? []);
    if (whole === undefined) throw new Error('there is no proof');
    expect(problemOf(whole)).toBeUndefined();
    expect(problemOf({ ...whole, file: 'packages/none.test.ts' })).toContain('no such file');
    expect(problemOf({ ...whole, test: 'of a set with %s is ref' })).toContain('no test is called');
    expect(problemOf({ ...whole, case: 'a bit of nothing flipped' })).toContain('there is no case');
  });

  // Run with --update to write the page anew.
  it('is shown on a page that is made from it', async () => {
    await expect(page()).toMatchFileSnapshot(`${root}${pageFile}`);
  });
});

function page(): string {
  const numbers = new Map<string, number>();
  const numberOf = ({ file }: Proof): number => {
    if (!numbers.has(file)) numbers.set(file, numbers.size + 1);
    return numbers.get(file) ?? 0;
  };
  const shown = (cell: Cell): string => {
    if ('doesNotApply' in cell) return '—';
    return [...new Set(cell.map(numberOf))].map((number) => `[${String(number)}](#${String(number)})`).join(' ');
  };
  const rows = faults.map(
    ({ name, outcome, cells }) =>
      `| ${name} | ${operations.map((one) => shown(cells[one])).join(' | ')} | ${outcome} |`,
  );
  const reasons = faults.flatMap(({ name, cells }) =>
    operations.flatMap((operation) => {
      const cell = cells[operation];
      return 'doesNotApply' in cell ? [`- ${name}, ${operation}: ${cell.doesNotApply}.`] : [];
    }),
  );
  const all = faults.flatMap(({ cells }) => operations.flatMap((operation) => proofsOf(cells[operation])));
  const sections = [...numbers].map(([file, number]) => {
    const titles = new Map<string, Set<string>>();
    for (const proof of all.filter((one) => one.file === file)) {
      const cases = titles.get(proof.test) ?? new Set();
      if (proof.case !== undefined) cases.add(proof.case);
      titles.set(proof.test, cases);
    }
    const lines = [...titles].map(([test, cases]) =>
      cases.size === 0 ? `- ${test}` : `- ${test}: ${[...cases].map((one) => `_${one}_`).join(', ')}`,
    );
    return `### ${String(number)}\n\n[${file}](../../${file})\n\n${lines.join('\n')}\n`;
  });
  return `# What is done wrong to backups, and what comes of it

The invariant: _the previous state or the new complete one, an exit code that is not zero on anything else, no plain text and no secret left behind_ (after
\`kill -9\` at the latest when the next command has swept).

Each number is a file of tests that shows it: its titles stand below, and a test of this repository looks that they exist. A dash: the fault cannot meet that
operation; the reason stands below, too. Made by \`tests/repository/backup-faults.test.ts\`.

| fault | ${operations.join(' | ')} | what comes of it |
| --- | ${operations.map(() => '---').join(' | ')} | --- |
${rows.join('\n')}

\`kill -9\` at every single step, three times over and more, is a part of \`./scripts/prove\`: the reports with the histogram of the steps that were hit are in
\`bench/reports\`.

## Does not apply

${reasons.join('\n')}

## Tests

${sections.join('\n')}`;
}
