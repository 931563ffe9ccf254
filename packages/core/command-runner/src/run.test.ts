import { Readable } from 'node:stream';
import { isDevstackError } from '@devstack-core/errors';
import { Secret, SecretRegistry } from '@devstack-core/redaction';
import { describe, expect, it } from 'vitest';
import { run, which, type Argv, type RunOptions } from './index.ts';

const node = process.execPath;

function script(code: string): Argv {
  return [node, '-e', code];
}

async function errorOf(
  argv: Argv,
  options: RunOptions = {},
): Promise<{ code: string; message: string; details: Readonly<Record<string, unknown>> }> {
  const error: unknown = await run(argv, options).catch((caught: unknown) => caught);
  if (!isDevstackError(error)) throw new Error('expected a DevstackError', { cause: error });
  return error;
}

describe('running a program', () => {
  it('gives exit code, both streams, duration and the command', async () => {
    const result = await run(script('process.stdout.write("out"); process.stderr.write("err")'));
    expect(result).toMatchObject({ exitCode: 0, signal: undefined, stdout: 'out', stderr: 'err', truncated: false });
    expect(result.durationMs).toBeGreaterThan(0);
    expect(result.command).toContain('process.stdout.write');
  });

  it.each([
    ['a string', 'päss "w"'],
    ['bytes', Buffer.from('päss "w"')],
    ['a secret', new Secret('päss "w"')],
    ['a stream', Readable.from(['päss ', '"w"'])],
  ])('feeds %s to stdin', async (_, stdin) => {
    expect((await run(['cat'], { stdin })).stdout).toBe('päss "w"');
  });

  it('gives an empty input when there is none, so nothing waits for a terminal', async () => {
    expect((await run(['cat'])).stdout).toBe('');
  });

  it('copes with a program that does not read its input', async () => {
    expect((await run(['true'], { stdin: 'x'.repeat(1_000_000) })).exitCode).toBe(0);
  });

  it('names program, code and the last lines of stderr when it fails', async () => {
    const error = await errorOf(script('console.error("one\\ntwo"); process.exit(3)'));
    expect(error).toMatchObject({ code: 'COMMAND_FAILED', details: { exitCode: 3, stderr: ['one', 'two'] } });
    expect(error.message).toBe(`${node} exited with code 3: one\ntwo`);
  });

  it('gives a failure back as a result when check is off', async () => {
    expect(await run(['sh', '-c', 'kill -TERM $$'], { check: false })).toMatchObject({
      exitCode: 143,
      signal: 'SIGTERM',
    });
  });

  it('says that a program does not exist', async () => {
    expect(await errorOf(['no-such-program-here'])).toMatchObject({ code: 'COMMAND_NOT_FOUND' });
    expect(await errorOf(['true'], { cwd: '/no/such/folder' })).toMatchObject({
      code: 'COMMAND_NOT_STARTED',
      details: { cwd: '/no/such/folder' },
    });
    expect(await errorOf(['/etc/passwd'])).toMatchObject({
      code: 'COMMAND_NOT_STARTED',
      details: { reason: 'EACCES' },
    });
    expect(await errorOf(['true', 'a\0b'])).toMatchObject({ code: 'COMMAND_NOT_STARTED' });
  });

  it('passes only the named variables on', async () => {
    process.env['RUNNER_TEST_TOKEN'] = 'not for children';
    expect((await run(['env'])).stdout).not.toContain('RUNNER_TEST_TOKEN');
    expect((await run(['env'], { inheritEnv: true })).stdout).toContain('RUNNER_TEST_TOKEN');
    expect((await run(['/usr/bin/env'], { inheritEnv: false, env: { A: '1', B: undefined } })).stdout).toBe('A=1\n');
    delete process.env['RUNNER_TEST_TOKEN'];
  });

  it('delivers lines as they come', async () => {
    const seen: string[] = [];
    await run(script('process.stdout.write("a\\r\\nb\\rc"); process.stderr.write("d\\n")'), {
      onLine: ({ stream, text }) => seen.push(`${stream} ${text}`),
    });
    expect(seen.sort()).toEqual(['stderr d', 'stdout a', 'stdout b', 'stdout c']);
  });

  it('ends a program that writes too much, or keeps the tail', async () => {
    const chatty = script('for (let i = 0; i < 1000; i++) process.stdout.write("0123456789\\n")');
    expect(await errorOf(chatty, { maxOutputBytes: 100 })).toMatchObject({ code: 'COMMAND_OUTPUT_TOO_LARGE' });
    const result = await run(chatty, { maxOutputBytes: 15, overflow: 'keep-tail' });
    expect(result).toMatchObject({ truncated: true, stdout: '789\n0123456789\n' });
  });
});

describe('secrets', () => {
  const value = 'hunter2-"quoted"';
  const registry = new SecretRegistry();
  registry.add(value);

  it('leave stderr, lines, errors and the command only as a mask; stdout is data', async () => {
    const seen: string[] = [];
    const code =
      'const s = require("node:fs").readFileSync(0, "utf8"); console.log(s); console.error("refused: " + JSON.stringify(s)); process.exit(1)';
    const options = {
      stdin: new Secret(value),
      redact: registry,
      onLine: ({ text }: { text: string }) => seen.push(text),
    };
    const error = await errorOf(script(code), options);
    expect(error.message).toContain('refused: "[secret]"');
    expect(JSON.stringify(error)).not.toContain('hunter2');
    expect(seen.sort()).toEqual(['[secret]', 'refused: "[secret]"']);
    const result = await run([node, '-e', code, value], { ...options, check: false });
    expect(result.stdout).toBe(`${value}\n`);
    expect(result.stderr + result.command).not.toContain('hunter2');
  });

  it('given to stdin do not appear in a failure, even without a registry', async () => {
    const error = await errorOf(script('process.exit(1)'), { stdin: new Secret(value) });
    expect(error.message + JSON.stringify(error)).not.toContain('hunter2');
  });
});

describe('looking a program up', () => {
  it('finds the file on the search path', async () => {
    expect(await which('sh')).toMatch(/^\/.*\/sh$/);
    expect(await which('no-such-program-here')).toBeUndefined();
    expect(await which(node)).toBe(node);
    expect(await which('passwd', { path: '/etc' })).toBeUndefined();
  });
});
