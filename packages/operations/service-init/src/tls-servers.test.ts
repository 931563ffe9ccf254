import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { fakeContainer, type FakeContainer } from '../test/fake-container.ts';
import { serviceInits } from './service-inits.ts';
import { tlsServers, type TlsReloadContext } from './tls-servers.ts';

const tls = { mode: 'true', certificate: '/tls/tls.crt', privateKey: '/tls/tls.key', ca: '/tls/ca.crt' } as const;

function contextOf(container: FakeContainer, more: Partial<TlsReloadContext> = {}): TlsReloadContext {
  const { settings, credentialsDirectory } = container.context({ secrets: {} });
  return { settings, credentialsDirectory, tls, ...more };
}

// What the stand-in was asked, and by what.
const script = (root: string, more = ''): string => `echo "$*" > ${root}/asked; /bin/cat >> ${root}/asked; ${more}`;
const asked = (container: FakeContainer): Promise<string> => readFile(join(container.root, 'asked'), 'utf8');

test('every engine says how it speaks TLS', () => {
  expect(Object.keys(tlsServers).toSorted()).toEqual(Object.keys(serviceInits).toSorted());
});

describe('a reload', () => {
  test.each(['postgres', 'pgbouncer'])('of %s is a signal to the server', async (engine) => {
    await using container = await fakeContainer(engine);
    const server = spawn('sh', ['-c', 'trap "exit 7" HUP; echo ready; while :; do sleep 0.05; done'], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    await once(server.stdout, 'data');
    const ended = once(server, 'exit');
    await tlsServers[engine]?.reload?.(contextOf(container, { serverPid: server.pid ?? 0 }));
    expect(await ended).toEqual([7, null]);
  });

  test('of MariaDB is FLUSH SSL, with the login in a file', async () => {
    await using container = await fakeContainer('mysql');
    await container.program('mariadb', script(container.root));
    await tlsServers['mysql']?.reload?.(contextOf(container));
    expect(await asked(container)).toMatch(/--defaults-file=\S+\/health\.cnf .*FLUSH SSL/);
  });

  test.each([
    ['true', ''],
    ['required', '--tls -h localhost -p 6390 --cacert /tls/ca.crt'],
  ] as const)('of Redis with %s sets all files at once, with the login on stdin', async (mode, words) => {
    await using container = await fakeContainer('redis');
    await container.program('redis-cli', script(container.root, 'echo OK; echo OK'));
    const context = contextOf(container, { tls: { ...tls, mode } });
    await writeFile(join(context.credentialsDirectory, 'healthcheck'), 'AUTH "default" "secret"\nCLUSTER INFO\n');
    await tlsServers['redis']?.reload?.(context);
    expect(await asked(container)).toBe(
      `${words}\nAUTH "default" "secret"\nCONFIG SET tls-cert-file /tls/tls.crt tls-key-file /tls/tls.key tls-ca-cert-file /tls/ca.crt\n`,
    );
  });

  test('that Redis does not answer with OK has failed, though redis-cli ends with 0', async () => {
    await using container = await fakeContainer('redis');
    await container.program(
      'redis-cli',
      script(container.root, 'echo OK; echo "ERR Unable to update TLS configuration"'),
    );
    const context = contextOf(container);
    await writeFile(join(context.credentialsDirectory, 'healthcheck'), 'AUTH "default" "secret"\n');
    await expect(tlsServers['redis']?.reload?.(context)).rejects.toMatchObject({ code: 'APPLY_FAILED' });
  });

  test('of RabbitMQ forgets what it read, as the user that the node runs as', async () => {
    await using container = await fakeContainer('rabbitmq');
    await container.program('rabbitmqctl', script(container.root, `echo "$HOME" >> ${container.root}/asked`));
    const context = contextOf(container);
    await tlsServers['rabbitmq']?.reload?.(context);
    expect(await asked(container)).toContain('eval ssl:clear_pem_cache().');
    expect(await asked(container)).toContain(context.credentialsDirectory);
  });

  test('that fails says so without what the program printed', async () => {
    await using container = await fakeContainer('rabbitmq');
    await container.program('rabbitmqctl', 'echo "cookie hash: abc" >&2; exit 69');
    const failed = tlsServers['rabbitmq']?.reload?.(contextOf(container));
    await expect(failed).rejects.toMatchObject({
      code: 'APPLY_FAILED',
      message: expect.stringContaining('69') as unknown,
    });
    await expect(failed).rejects.not.toMatchObject({ message: expect.stringContaining('cookie') as unknown });
  });
});
