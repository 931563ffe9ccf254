import { spawn } from 'node:child_process';
import { rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startStack, type TestStack } from '../test/stack.ts';
import { bootstrapVault, rollbackBootstrap, validateBootstrap, type BootstrapOptions } from './index.ts';

const services = ['postgres', 'redis-1', 'redis-2'];
const around = (step: string): string[] => [`started ${step}`, `done ${step}`];
const firstRun = [
  ...['kv secret', 'approle approle', 'audit /vault/audit/second.log'].flatMap(around),
  ...['postgres', 'redis'].flatMap((role) => [...around(`policy ${role}`), ...around(`role ${role}`)]),
  ...services.flatMap((service) => around(`role-id ${service}`)),
  ...services.flatMap((service) =>
    ['started', 'issued', 'written', 'recorded', 'done'].map((moment) => `${moment} secret-id ${service}`),
  ),
];
const renewal = ['superseded', 'issued', 'written', 'recorded', 'done'].map((moment) => `${moment} secret-id redis-1`);

describe('a bootstrap that is killed', () => {
  let stack: TestStack;
  let options: BootstrapOptions;

  beforeAll(async () => {
    stack = await startStack();
    options = {
      ...stack.options,
      auditPath: '/vault/audit/second.log',
      roles: stack.roles.filter(({ role }) => role === 'postgres' || role === 'redis'),
      consumers: stack.consumers.filter(({ service }) => services.includes(service)),
    };
  });
  afterAll(async () => stack[Symbol.asyncDispose]());

  it.each(firstRun)('at "%s" of the first run ends, run again, as one that was not', async (killAt) => {
    await rollbackBootstrap({ ...options, removeSecrets: true });
    await stack.root.disableAudit('file').catch(() => undefined);
    await rm(stack.directory, { recursive: true, force: true });

    expect(await bootstrapAndKill(killAt)).toEqual({ signal: 'SIGKILL', said: `killed at ${killAt}` });
    await bootstrapVault(options);
    expect(await endState()).toEqual({
      problems: [],
      liveSecretIds: 3,
      modes: [0o600, 0o600, 0o600, 0o600, 0o600, 0o600],
    });
  });

  it.each(renewal)('at "%s" of a forced renewal keeps a valid secret_id in every file', async (killAt) => {
    await bootstrapVault(options);
    expect(await bootstrapAndKill(killAt, true)).toEqual({ signal: 'SIGKILL', said: `killed at ${killAt}` });
    for (const service of services) {
      const secretId = await stack.root.lookupSecretId({ role: roleOf(service), secretId: await fileOf(service) });
      expect(secretId?.metadata['service']).toBe(service);
    }
    // Superseded ones wait for the delivery of their replacement; an hour later they go.
    const later = { ...options, now: () => new Date(Date.now() + 2 * 3_600_000) };
    await bootstrapVault(later);
    await bootstrapVault(later);
    expect(await endState()).toMatchObject({ problems: [], liveSecretIds: 3 });
  });

  function roleOf(service: string): string {
    return service.replace(/-\d$/, '');
  }

  async function fileOf(service: string): Promise<never> {
    const { readWord } = await import('./login-files.ts');
    return (await readWord(join(stack.directory, service, 'secret-id'))) as never;
  }

  async function endState(): Promise<{ problems: readonly string[]; liveSecretIds: number; modes: readonly number[] }> {
    const accessors = await Promise.all(['postgres', 'redis'].map((role) => stack.root.listSecretIdAccessors(role)));
    const files = services.flatMap((service) => [
      join(stack.directory, service, 'role-id'),
      join(stack.directory, service, 'secret-id'),
    ]);
    return {
      problems: (await validateBootstrap(options)).map((problem) => problem.message),
      liveSecretIds: accessors.flat().length,
      modes: await Promise.all(files.map(async (path) => (await stat(path)).mode & 0o777)),
    };
  }

  function bootstrapAndKill(killAt: string, force = false): Promise<{ signal: string | null; said: string }> {
    const child = spawn(
      process.execPath,
      ['-C', '@devstack-core/source', new URL('../test/bootstrap-child.ts', import.meta.url).pathname],
      {
        stdio: ['pipe', 'pipe', 'inherit'],
      },
    );
    const { client: _client, ...plain } = options;
    child.stdin.end(
      JSON.stringify({
        address: stack.vault.address,
        token: stack.vault.rootToken.reveal(),
        killAt,
        force,
        options: plain,
      }),
    );
    let said = '';
    child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()));
    return new Promise((resolve) => {
      child.on('close', (_code, signal) => {
        resolve({ signal, said: said.trim() });
      });
    });
  }
});
