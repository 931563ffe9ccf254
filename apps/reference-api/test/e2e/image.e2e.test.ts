import { chmod, cp, mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { docker, uniqueName } from '@devstack-core/database-connections/test/engines';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startTestStack, type TestStack } from '../stack.ts';

const name = uniqueName();
let stack: TestStack;
let approle: string;

// The built app (`pnpm --filter @devstack-core/reference-api build`), in its image, as compose runs it.
beforeAll(async () => {
  const root = fileURLToPath(new URL('../../../..', import.meta.url));
  await docker(['build', '-q', '-t', name, '-f', join(root, 'infrastructure/images/reference-api/Dockerfile'), root], {
    env: { DOCKER_BUILDKIT: '1' },
  });
  stack = await startTestStack();
  approle = await mkdtemp(join(tmpdir(), 'reference-api-e2e-'));
  await cp(stack.settings.vault.directory, approle, { recursive: true });
  await chmod(approle, 0o700);
});

afterAll(async () => {
  await docker(['rm', '-fv', name]);
  await docker(['rmi', '-f', name]);
  await stack[Symbol.asyncDispose]();
  await rm(approle, { recursive: true, force: true });
});

it('the image serves with a read-only root and no capability, holds no secret, and drains on SIGTERM', async () => {
  const { settings } = stack;
  const port = await freePort();
  const url = `http://127.0.0.1:${String(port)}`;
  const environment = {
    LISTEN_PORT: String(port),
    LISTEN_HOST: '127.0.0.1',
    VAULT_ADDR: settings.vault.address,
    VAULT_APPROLE_PATH: '/run/approle',
    DRAIN_DELAY_MS: '100',
    REDIS_NODES: Object.keys(stack.redisNatMap).join(','),
    ...{ POSTGRES_HOST: settings.postgres.host, POSTGRES_PORT: String(settings.postgres.port) },
    ...{ MYSQL_HOST: settings.mysql.host, MYSQL_PORT: String(settings.mysql.port) },
    ...{ MONGODB_HOST: settings.mongodb.host, MONGODB_PORT: String(settings.mongodb.port) },
    ...{ RABBITMQ_HOST: settings.rabbitmq.host, RABBITMQ_PORT: String(settings.rabbitmq.port) },
  };
  await docker([
    ...[
      'run',
      '-d',
      '--name',
      name,
      '--network',
      'host',
      '--read-only',
      '--cap-drop',
      'ALL',
      '--security-opt',
      'no-new-privileges',
    ],
    // The files belong to whoever runs the tests.
    ...['--user', `${String(process.getuid?.() ?? 8080)}:8080`, '-v', `${approle}:/run/approle:ro`, '--tmpfs', '/tmp'],
    ...Object.entries(environment).flatMap(([key, value]) => ['-e', `${key}=${value}`]),
    name,
  ]);
  const isHealthy = (): Promise<boolean> =>
    docker(['exec', name, '/usr/local/bin/node', '/opt/reference-api/healthcheck.js']).then(
      () => true,
      () => false,
    );
  const health = (): Promise<unknown> => fetch(`${url}/health`).then(async (answer) => answer.json(), String);
  await expect
    .poll(isHealthy, { timeout: 30_000 })
    .toBe(true)
    .catch(async (error: unknown) => {
      throw new Error(`${JSON.stringify(await health())}\n${await docker(['logs', name])}`, { cause: error });
    });
  const answer = await fetch(`${url}/api/v1/notes`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ title: 'from the image', body: 'b' }),
  });
  expect(answer.status).toBe(201);

  await docker(['kill', '--signal', 'TERM', name]);
  expect((await docker(['wait', name])).trim()).toBe('0');
  const said =
    (await docker(['inspect', name])) +
    (await docker(['logs', name])) +
    (await docker(['history', '--no-trunc', name]));
  for (const secret of stack.secrets) expect(said).not.toContain(secret);
  expect(said).toContain('drained');
});

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}
