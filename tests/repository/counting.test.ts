import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

// The last line of scripts/test must never be better than the run was.

const root = new URL('../..', import.meta.url).pathname.replace(/\/$/, '');

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'devstack-counting-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

function node(script: string, ...args: readonly string[]): { exitCode: number | null; stdout: string } {
  const { status, stdout } = spawnSync(process.execPath, [join(root, script), ...args], {
    encoding: 'utf8',
    cwd: root,
    env: { PATH: process.env['PATH'] },
  });
  return { exitCode: status, stdout: stdout.trim() };
}

const file = (name: string, status: string, tests: readonly string[]): object => ({
  name,
  status,
  startTime: 0,
  endTime: 1500,
  assertionResults: tests.map((test) => ({ fullName: `${test} title`, status: test })),
});

function report(passed: number, failed: number, files: readonly object[]): string {
  const path = join(folder, 'tests.json');
  writeFileSync(path, JSON.stringify({ numPassedTests: passed, numFailedTests: failed, testResults: files }));
  return path;
}

describe('scripts/lib/count-tests.js', () => {
  it.each([
    ['all pass', 2, 0, [file('a', 'passed', ['passed', 'passed'])], '0', '2 0'],
    ['one fails', 1, 1, [file('a', 'failed', ['passed', 'failed'])], '1', '1 1'],
    ['a file that could not be loaded', 1, 0, [file('a', 'passed', ['passed']), file('b', 'failed', [])], '1', '1 1'],
    [
      'a file whose set-up failed, so its tests were skipped',
      0,
      0,
      [file('b', 'failed', ['skipped', 'skipped'])],
      '1',
      '0 1',
    ],
    [
      'every test passes but the runner does not (an unhandled error)',
      3,
      0,
      [file('a', 'passed', ['passed'])],
      '1',
      '3 1',
    ],
  ])('counts: %s', (_title, passed, failed, files, status, counts) => {
    expect(node('scripts/lib/count-tests.js', report(passed, failed, files), status)).toEqual({
      exitCode: 0,
      stdout: counts,
    });
  });

  it('fails where the runner left no report, which scripts/test counts as one failure', () => {
    expect(node('scripts/lib/count-tests.js', join(folder, 'missing.json'), '0').exitCode).not.toBe(0);
  });
});

describe('scripts/lib/summary.js', () => {
  function summary(stages: string): { exitCode: number | null; stdout: string } {
    writeFileSync(join(folder, 'stages'), stages);
    return node('scripts/lib/summary.js', join(folder, 'stages'), folder, '12');
  }

  it('adds the stages up and ends with the one line', () => {
    expect(summary('eslint 1 0 3\ntests 40 0 9\n')).toEqual({ exitCode: 0, stdout: '41 passed, 0 failed' });
  });

  it('exits 1 for any failure, and names the failed and the skipped tests', () => {
    report(1, 1, [file(join(root, 'packages/a.test.ts'), 'failed', ['passed', 'failed', 'skipped'])]);
    expect(summary('eslint 0 1 3\ntests 1 1 9\n')).toEqual({ exitCode: 1, stdout: '1 passed, 2 failed' });
    const markdown = readFileSync(join(folder, 'summary.md'), 'utf8');
    expect(markdown).toContain('- packages/a.test.ts: failed title');
    expect(markdown).toContain('- packages/a.test.ts: skipped title');
  });

  it('exits 1 when nothing ran at all', () => {
    expect(summary('')).toEqual({ exitCode: 1, stdout: '0 passed, 0 failed' });
  });
});
