import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import { serverEnvironment } from './become.ts';

async function temporary(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'become-'));
  onTestFinished(() => rm(directory, { recursive: true }));
  return directory;
}

// A process of its own: becoming another program ends the one that does it.
async function becoming(prepared: unknown): Promise<{ stdout: string; stderr: string }> {
  const script = `const { become } = await import(${JSON.stringify(join(import.meta.dirname, 'become.ts'))}); try { become(${JSON.stringify(prepared)}, { PATH: process.env.PATH, VAULT_ADDR: 'x', KEPT: '1' }); } catch (error) { process.stderr.write(error.code + ': ' + error.message); }`;
  return promisify(execFile)(process.execPath, ['-C', '@devstack-core/source', '--input-type=module', '-e', script]);
}

test('the server keeps the process id and gets default signals, its environment and its arguments', async () => {
  const directory = await temporary();
  const leftover = join(directory, 'leftover');
  await writeFile(leftover, '');
  const { stdout } = await becoming({
    argv: [
      '/bin/sh',
      '-c',
      `grep SigIgn /proc/$$/status; echo "$KEPT$VAULT_ADDR$ADDED $1"; ls ${directory}`,
      'sh',
      'an argument',
    ],
    env: { ADDED: '2' },
    unlink: [leftover],
  });
  expect(stdout).toBe('SigIgn:\t0000000000000000\n12 an argument\n');
});

test('a program that is not there is an error and not a crash', async () => {
  const { stderr } = await becoming({ argv: ['/nonexistent/server'], env: {} });
  expect(stderr).toBe('PROGRAM_MISSING: /nonexistent/server is not an executable of this image.');
});

test('a file that cannot be run is an error and not a crash', async () => {
  const file = join(await temporary(), 'server');
  await writeFile(file, '');
  await chmod(file, 0o644);
  expect((await becoming({ argv: [file], env: {} })).stderr).toContain('PROGRAM_MISSING');
});

test('what only the login needed does not reach the server', () => {
  expect(
    serverEnvironment(
      {
        PATH: '/bin',
        VAULT_ADDR: 'x',
        NODE_OPTIONS: 'x',
        DEVSTACK_VAULT_WAIT_SECONDS: '1',
        DEVSTACK_SERVICE: 's',
        UNSET: undefined,
      },
      { PGDATA: '/d' },
    ),
  ).toEqual({ PATH: '/bin', DEVSTACK_SERVICE: 's', PGDATA: '/d' });
});

test.each([
  ['as container-init writes', 'writeSync(1, "line\\n"); writeSync(2, "line\\n");', false],
  ['control: as console.log would', 'console.log("line");', true],
])('standard output blocks or loses lines: %s', async (_, statement, isNonBlocking) => {
  const script = `import { writeSync } from 'node:fs'; ${statement} process.execve('/bin/cat', ['cat', '/proc/self/fdinfo/1'], {});`;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script]);
  const flags = Number.parseInt(/flags:\s*(\d+)/.exec(stdout)?.[1] ?? '', 8);
  expect((flags & constants.O_NONBLOCK) !== 0).toBe(isNonBlocking);
});
