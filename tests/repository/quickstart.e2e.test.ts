import { execFile, execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { chmod, cp, mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

// docs/quickstart.md, followed to the letter: every command of its `sh` blocks, in order, as a project of its own beside other stacks, in a
// checkout of its own: the quickstart builds the apps, and other tests run those of this one.

const root = new URL('../..', import.meta.url).pathname.replace(/\/$/, '');
const page = readFileSync(`${root}/docs/quickstart.md`, 'utf8');
const commands = [...page.matchAll(/^```sh\n([\s\S]*?)^```$/gm)]
  .flatMap((block) => (block[1] ?? '').split('\n'))
  .map((line) => line.trim())
  .filter((line) => line !== '' && !line.startsWith('#'));
let checkout: string;
const environment = { ...process.env, DEVSTACK_PROJECT: `quickstart-${randomBytes(3).toString('hex')}`, NO_COLOR: '1' };

function shell(command: string): Promise<{ exitCode: number; output: string }> {
  return new Promise((resolve) => {
    const child = execFile(
      'sh',
      ['-c', command],
      { cwd: checkout, env: environment, timeout: 1_500_000, maxBuffer: 64 * 1024 * 1024 },
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

beforeAll(async () => {
  checkout = await mkdtemp(join(tmpdir(), 'quickstart-'));
  const files = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], { cwd: root });
  for (const file of files.toString().split('\0').filter(Boolean))
    if (existsSync(join(root, file))) await cp(join(root, file), join(checkout, file));
  if (existsSync(join(root, '.tools'))) await symlink(join(root, '.tools'), join(checkout, '.tools'));
  // Bind mounts are read by the services' own users.
  await chmod(checkout, 0o755);
});

afterAll(async () => {
  await shell('./devstack reset --yes --no-backup');
  await rm(checkout, { recursive: true, force: true });
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
