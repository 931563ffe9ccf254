import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';

import { afterAll, describe, expect, it } from 'vitest';

// docs/quickstart.md, followed to the letter: every command of its `sh` blocks, in order, as a project of its own beside other stacks.

const root = new URL('../..', import.meta.url).pathname.replace(/\/$/, '');
const page = readFileSync(`${root}/docs/quickstart.md`, 'utf8');
const commands = [...page.matchAll(/^```sh\n([\s\S]*?)^```$/gm)]
  .flatMap((block) => (block[1] ?? '').split('\n'))
  .map((line) => line.trim())
  .filter((line) => line !== '' && !line.startsWith('#'));
const environment = { ...process.env, DEVSTACK_PROJECT: `quickstart-${randomBytes(3).toString('hex')}`, NO_COLOR: '1' };

function shell(command: string): Promise<{ exitCode: number; output: string }> {
  return new Promise((resolve) => {
    const child = execFile(
      'sh',
      ['-c', command],
      { cwd: root, env: environment, timeout: 1_500_000, maxBuffer: 64 * 1024 * 1024 },
      (error, stdout, stderr) => {
        resolve({
          exitCode: typeof error?.code === 'number' ? error.code : error === null ? 0 : 1,
          output: stdout + stderr,
        });
      },
    );
    child.stdin?.end();
  });
}

afterAll(async () => {
  await shell('./devstack reset --yes --no-backup');
});

describe('docs/quickstart.md', { timeout: 1_500_000 }, () => {
  it('shows commands of this checkout, the quickstart first', () => {
    expect(commands.length).toBeGreaterThan(8);
    expect(commands[0]).toMatch(/^\.\/scripts\/quickstart/);
  });

  it.each(commands)('%s', async (command) => {
    const { exitCode, output } = await shell(command);
    expect(exitCode, output.slice(-4000)).toBe(0);
  });
});
