import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EngineStack, findSecrets, oddPasswords, type Engine, type EngineSpec } from '../test/engine-stack.ts';
import { fresh } from '../test/fresh.ts';
import { quoteRedis } from './redis.ts';

const spec: EngineSpec = {
  service: 'redis-1',
  role: 'redis',
  image: 'devstack/redis:local',
  uid: 6379,
  host: 21,
  config: 'redis',
  tmpfs: [],
  env: { DEVSTACK_REDIS_SLOTS: '0-16383' },
};
const own = { username: 'default', password: fresh() };
const application = fresh();
const monitor = fresh();
const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');

let stack: EngineStack;
let redis: Engine;

beforeAll(async () => {
  stack = await EngineStack.start();
  await stack.writeSecret('redis', own);
  await stack.writeSecret('redis/clients', {
    'reference-api': JSON.stringify({ verifier: sha256(application), role: 'reference-api', grants: 'application' }),
    'redis-exporter': JSON.stringify({ verifier: sha256(monitor), role: 'redis-exporter', grants: 'monitor' }),
  });
  redis = await stack.prepare(spec);
  await redis.create();
});

afterAll(async () => {
  await stack[Symbol.asyncDispose]();
});

describe('the first start of Redis', () => {
  it('serves all slots alone, also when it was killed at once', async () => {
    await redis.kill();
    await redis.startAgain();
    expect(await ask('default', own.password, 'CLUSTER INFO')).toContain('cluster_slots_ok:16384');
    expect((await redis.exec(['cat', '/proc/1/comm'])).stdout.trim()).toBe('redis-server');
  });

  it('gives each user what it may do, and nobody more', async () => {
    expect(await ask('default', own.password, 'SET kept 42')).toContain('OK');
    expect(await ask('reference-api', application, 'GET kept')).toContain('42');
    expect(await ask('reference-api', application, 'CONFIG GET dir')).toContain('NOPERM');
    expect(await ask('reference-api', application, 'ACL LIST')).toContain('NOPERM');
    expect(await ask('redis-exporter', monitor, 'INFO server')).toContain('redis_version');
    expect(await ask('redis-exporter', monitor, 'GET kept')).toContain('NOPERM');
    expect(await ask('default', 'wrong', 'PING')).toContain('WRONGPASS');
    expect((await redis.exec(['redis-cli', 'PING'])).stdout).toContain('NOAUTH');
  });
});

describe('later starts', () => {
  it.each(oddPasswords)('apply the rotated password %j and keep data and slots', async (password) => {
    const old = own.password;
    own.password = password;
    await stack.writeSecret('redis', own);
    await redis.restart();
    expect(await ask('default', password, 'GET kept')).toContain('42');
    expect(await ask('default', old, 'PING')).toContain('WRONGPASS');
    expect(await ask('default', password, 'CLUSTER INFO')).toContain('cluster_slots_ok:16384');
  });
});

describe('secrets', () => {
  it('are in no place that others can read', async () => {
    expect(await findSecrets(redis, [own.password, application, monitor])).toEqual([]);
  });

  it('would be found if they were there', async () => {
    await redis.remove();
    redis = await stack.prepare(spec);
    await redis.create(['-e', `PLANTED=${own.password}`]);
    await redis.waitHealthy();
    expect(await findSecrets(redis, [own.password])).toEqual(expect.arrayContaining(['environ: raw']));
  });
});

async function ask(user: string, password: string, command: string): Promise<string> {
  return (await redis.exec(['redis-cli'], `AUTH ${quoteRedis(user)} ${quoteRedis(password)}\n${command}\n`)).stdout;
}
