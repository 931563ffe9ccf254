import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { docker, EngineStack, type Engine, type EngineSpec } from '../test/engine-stack.ts';
import { fresh } from '../test/fresh.ts';

// Redis starts fastest; the login is the same for every engine.
const spec: EngineSpec = {
  service: 'redis-1',
  role: 'redis',
  image: 'devstack/redis:local',
  uid: 6379,
  host: 21,
  config: 'redis',
  tmpfs: [],
  env: { DEVSTACK_REDIS_SLOTS: '0-16383', DEVSTACK_VAULT_WAIT_SECONDS: '2' },
};

let stack: EngineStack;
let redis: Engine;

beforeAll(async () => {
  stack = await EngineStack.start();
  await stack.writeSecret('redis', { username: 'default', password: fresh() });
  redis = await stack.prepare(spec);
});

afterEach(async () => {
  await redis.remove();
  redis = await stack.prepare(spec);
});

afterAll(async () => {
  await stack[Symbol.asyncDispose]();
});

describe('a login that cannot work ends with one clear line, what to do next, and exit code 1', () => {
  it.each([
    ['role-id is missing', 'rm /v/role-id', 'APPROLE_FILE_MISSING'],
    ['secret-id is missing', 'rm /v/secret-id', 'APPROLE_FILE_MISSING'],
    ['secret-id is empty', ': > /v/secret-id', 'APPROLE_FILE_EMPTY'],
    ['secret-id is another user’s', 'chown 1:1 /v/secret-id', 'APPROLE_FILE_UNREADABLE'],
    [
      'secret-id is not one of Vault’s',
      'echo 00000000-0000-0000-0000-000000000000 > /v/secret-id',
      'VAULT_LOGIN_REFUSED',
    ],
    ['role-id is not one of Vault’s', 'echo 00000000-0000-0000-0000-000000000000 > /v/role-id', 'VAULT_LOGIN_REFUSED'],
  ])('%s', async (_, script, code) => {
    await inApproleVolume(script);
    await redis.create();
    expect(await ended()).toEqual({
      exitCode: 1,
      lines: [expect.stringContaining(`container-init: ${code}: `), expect.stringContaining('container-init: next: ')],
    });
  });

  it('secret-id is another service’s', async () => {
    const other = await stack.prepare({ ...spec, service: 'other', role: 'other' });
    await docker([
      'run',
      '--rm',
      '--user',
      '0',
      '-v',
      `${other.name}-approle:/o`,
      '-v',
      `${redis.name}-approle:/v`,
      '--entrypoint',
      'cp',
      spec.image,
      '-p',
      '/o/secret-id',
      '/v/secret-id',
    ]);
    await redis.create();
    expect((await ended()).lines[0]).toContain('VAULT_LOGIN_REFUSED');
  });

  it('secret-id has expired', async () => {
    await deliver(await secretId({ ttl: '1s' }));
    await expiry();
    await redis.create();
    expect((await ended()).lines[0]).toContain('VAULT_LOGIN_REFUSED');
  });

  it('secret-id is bound to another address', async () => {
    await deliver(await secretId({ cidr_list: [`${stack.vault.network?.gateway ?? ''}/32`] }));
    await redis.create();
    expect((await ended()).lines[0]).toContain('VAULT_LOGIN_REFUSED');
  });

  it('the secret was never made', async () => {
    redis = await stack.prepare({ ...spec, service: 'nothing', role: 'nothing' });
    await redis.create();
    expect((await ended()).lines[0]).toContain('SECRET_MISSING');
  });

  it('a setting is missing: exit code 2', async () => {
    await redis.create(['-e', 'VAULT_ADDR=']);
    expect(await ended()).toMatchObject({
      exitCode: 2,
      lines: [expect.stringContaining('VAULT_ADDR is not set'), expect.any(String)],
    });
  });
});

describe('a Vault that is not ready', () => {
  it('is waited for, with a line that says so, and then used', async () => {
    await stack.call('PUT', 'sys/seal');
    try {
      await redis.create(['-e', 'DEVSTACK_VAULT_WAIT_SECONDS=60']);
      await redis.waitForLog(/waiting: Vault is sealed/);
    } finally {
      await stack.vault.unseal();
    }
    await redis.waitHealthy();
  });

  it('is given up at the deadline', async () => {
    await redis.create(['-e', 'VAULT_ADDR=http://127.0.0.1:8200']);
    const { exitCode, lines } = await ended();
    expect(exitCode).toBe(1);
    expect(lines[0]).toContain('waiting: Vault does not answer');
    expect(lines.at(-2)).toContain('VAULT_WAIT_TIMED_OUT');
  });

  it('does not hold up a stop', async () => {
    await redis.create(['-e', 'VAULT_ADDR=http://127.0.0.1:8200', '-e', 'DEVSTACK_VAULT_WAIT_SECONDS=60']);
    await redis.waitForLog(/waiting/);
    const begin = performance.now();
    await redis.stop();
    expect(performance.now() - begin).toBeLessThan(5000);
  });
});

describe('the root-token fallback', () => {
  it('uses the delivered token, says so loudly, and can be switched back', async () => {
    const made = await stack.call('POST', 'auth/token/create', {
      policies: ['redis'],
      no_default_policy: true,
      ttl: '5m',
    });
    const token = (made['auth'] as Record<string, string>)['client_token'] ?? '';
    await inApproleVolume(
      `echo ${token} > /v/token; chown 6379:6379 /v/token; chmod 600 /v/token; mv /v/secret-id /v/kept`,
    );
    await redis.create(['-e', 'REDIS_1_VAULT_USE_ROOT_TOKEN=true']);
    await redis.waitHealthy();
    expect(await redis.logs()).toContain('WARNING: redis-1 uses a token minted from the root token');
    await inApproleVolume('mv /v/kept /v/secret-id; rm /v/token');
    await redis.recreate();
    await redis.waitHealthy();
    expect(await redis.logs()).not.toContain('WARNING: redis-1');
  });

  it('the token is revoked after use', async () => {
    const made = await stack.call('POST', 'auth/token/create', {
      policies: ['redis'],
      no_default_policy: true,
      ttl: '5m',
    });
    const auth = made['auth'] as Record<string, string>;
    await inApproleVolume(`echo ${auth['client_token'] ?? ''} > /v/token; chown 6379:6379 /v/token`);
    await redis.create(['-e', 'VAULT_USE_ROOT_TOKEN=true']);
    await redis.waitHealthy();
    await expect(stack.call('POST', 'auth/token/lookup-accessor', { accessor: auth['accessor'] })).rejects.toThrow(
      /: 40[03]$/,
    );
  });
});

async function ended(): Promise<{ exitCode: number; lines: readonly string[] }> {
  const { stdout } = await docker(['wait', redis.name]);
  return { exitCode: Number(stdout), lines: (await redis.logs()).split('\n').filter((line) => line !== '') };
}

async function inApproleVolume(script: string): Promise<void> {
  const done = await docker([
    'run',
    '--rm',
    '--user',
    '0',
    '-v',
    `${redis.name}-approle:/v`,
    '--entrypoint',
    'sh',
    spec.image,
    '-c',
    script,
  ]);
  if (done.exitCode !== 0) throw new Error(done.stderr);
}

async function secretId(options: Record<string, unknown>): Promise<string> {
  const made = await stack.call('POST', 'auth/approle/role/redis/secret-id', options);
  return (made['data'] as Record<string, string>)['secret_id'] ?? '';
}

// Vault takes an expired secret_id until its tidy has run; that runs by itself, and here at once.
async function expiry(): Promise<void> {
  await sleep(1200);
  await stack.call('POST', 'auth/approle/tidy/secret-id');
  await sleep(500);
}

async function deliver(secretIdText: string): Promise<void> {
  await inApproleVolume(`echo ${secretIdText} > /v/secret-id`);
}
