import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  freePort,
  halfOpenServer,
  hangingUpServer,
  talkingServer,
} from '@devstack-core/database-connections/test/faulty-servers';
import { Secret } from '@devstack-core/redaction';
import { describe, expect, it } from 'vitest';
import { probe, probeAll } from './index.ts';
import { sniff } from './sniff.ts';

const credentials = { username: new Secret('devstack'), password: new Secret('p "w" \\ #1 $x %41 zoë') };
const protocols = [
  'vault',
  'postgresql',
  'pgbouncer',
  'redis',
  'redis-cluster',
  'mysql',
  'mongodb',
  'rabbitmq',
  'forgejo',
  'http',
  'tcp',
];
const at = (port: number): { host: string; port: number; credentials: typeof credentials } => ({
  host: '127.0.0.1',
  port,
  credentials,
});

async function serveHttp(
  answer: Readonly<Record<string, readonly [status: number, body: unknown]>>,
): Promise<{ port: number } & AsyncDisposable> {
  const server: Server = createServer((request, response) => {
    const path = request.url?.split('?')[0] ?? '';
    const [status, body] = answer[`${path}${request.headers.authorization === undefined ? '' : ' authorized'}`] ??
      answer[path] ?? [404, 'not here'];
    response
      .writeHead(status, { 'content-type': 'application/json' })
      .end(typeof body === 'string' ? body : JSON.stringify(body));
  });
  const listening = Promise.withResolvers<undefined>();
  server.listen(0, '127.0.0.1', () => {
    listening.resolve(undefined);
  });
  await listening.promise;
  return {
    port: (server.address() as AddressInfo).port,
    [Symbol.asyncDispose]: async () => {
      const closed = Promise.withResolvers<undefined>();
      server.close(() => {
        closed.resolve(undefined);
      });
      server.closeAllConnections();
      await closed.promise;
    },
  };
}

describe.each(protocols)('a probe of %s', (protocol) => {
  it('says what was tried and what to do when nothing listens', async () => {
    const port = await freePort();
    const result = await probe({ service: 'it', protocol, ...at(port) });
    expect(result).toMatchObject({
      service: 'it',
      protocol,
      healthy: false,
      checked: expect.stringMatching(/./) as string,
      reason: expect.stringMatching(/./) as string,
      tried: `${protocol} as "devstack" at 127.0.0.1:${String(port)}`,
      answered: 'nothing',
      nextStep: expect.stringMatching(/./) as string,
      latencyMs: expect.any(Number) as number,
    });
    expect(JSON.stringify(result)).not.toContain('zoë');
  });

  it('stops when the signal is aborted', async () => {
    await expect(probe({ protocol, ...at(1), signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: 'INTERRUPTED',
    });
  });
});

// A TCP connection is all that `tcp` asks for.
describe.each(protocols.filter((protocol) => protocol !== 'tcp'))('a probe of %s', (protocol) => {
  it('gives up in time on a server that accepts and never answers', async () => {
    await using server = await halfOpenServer();
    const result = await probe({ protocol, ...at(server.port), timeoutMs: 200 });
    expect(result).toMatchObject({ healthy: false, answered: 'something that accepts connections and never answers' });
    expect(result.latencyMs).toBeLessThan(1000);
    await expect.poll(server.connections, { timeout: 4000 }).toBe(0);
  });

  it('names what answers in its place', async () => {
    await using ssh = await talkingServer('SSH-2.0-OpenSSH_9.9\r\n', '');
    expect(await probe({ protocol, ...at(ssh.port), timeoutMs: 400 })).toMatchObject({
      healthy: false,
      answered: 'an SSH server',
    });
  });
});

describe('a probe', () => {
  it('tells an unknown host', async () => {
    for (const protocol of ['postgresql', 'http']) {
      expect(await probe({ protocol, host: 'no-such-host.invalid', port: 1, credentials })).toMatchObject({
        healthy: false,
        code: 'HOST_UNKNOWN',
        answered: 'nothing',
      });
    }
  });

  it('stops in the middle when the signal is aborted', async () => {
    await using server = await halfOpenServer();
    const stop = new AbortController();
    const probing = probe({ protocol: 'http', ...at(server.port), signal: stop.signal });
    setTimeout(() => {
      stop.abort();
    }, 50);
    await expect(probing).rejects.toMatchObject({ code: 'INTERRUPTED' });
  });

  it('knows its protocols, and takes the service for the protocol', async () => {
    await expect(probe({ protocol: 'gopher', host: 'x', port: 1 })).rejects.toMatchObject({
      code: 'PROBE_PROTOCOL_UNKNOWN',
      hint: expect.stringContaining('postgresql') as string,
    });
    await expect(probe({ host: 'x', port: 1 })).rejects.toMatchObject({ code: 'PROBE_PROTOCOL_UNKNOWN' });
    expect(await probe({ service: 'tcp', host: '127.0.0.1', port: await freePort() })).toMatchObject({
      service: 'tcp',
      protocol: 'tcp',
      healthy: false,
    });
  });

  it('asks for the credentials that it needs', async () => {
    await expect(probe({ protocol: 'mysql', host: '127.0.0.1', port: 1 })).rejects.toMatchObject({
      code: 'PROBE_CREDENTIAL_MISSING',
      details: { field: 'password' },
    });
    await expect(
      probe({ protocol: 'mysql', host: '127.0.0.1', port: 1, credentials: { password: new Secret('x') } }),
    ).rejects.toMatchObject({ details: { field: 'username' } });
  });

  it('runs beside others', async () => {
    await using server = await talkingServer('', '');
    const results = await probeAll([
      { protocol: 'tcp', host: '127.0.0.1', port: server.port },
      { protocol: 'tcp', host: '127.0.0.1', port: await freePort() },
    ]);
    expect(results.map(({ healthy }) => healthy)).toEqual([true, false]);
  });
});

describe('a probe over HTTP', () => {
  it('takes any 2xx and shows the body', async () => {
    await using server = await serveHttp({ '/ready': [200, { status: 'ready' }], '/live': [204, ''] });
    expect(await probe({ service: 'reference-api', protocol: 'http', ...at(server.port) })).toMatchObject({
      healthy: true,
      checked: 'GET /ready',
      details: { status: 200, body: { status: 'ready' } },
    });
    expect(await probe({ protocol: 'http', path: '/live', ...at(server.port) })).toMatchObject({ healthy: true });
  });

  it('names the services that hold another up', async () => {
    await using server = await serveHttp({
      '/ready': [503, { services: { database: 'connected', redis: 'disconnected' } }],
    });
    expect(await probe({ protocol: 'http', ...at(server.port) })).toMatchObject({
      healthy: false,
      reason: 'The service is not ready: redis disconnected.',
      answered: 'HTTP 503 to /ready',
    });
  });

  it('reports any other status', async () => {
    await using server = await serveHttp({});
    expect(await probe({ protocol: 'http', ...at(server.port) })).toMatchObject({
      healthy: false,
      reason: 'The service answered HTTP 404.',
    });
  });

  it('fails on a server that speaks no TLS', async () => {
    await using server = await serveHttp({ '/ready': [200, {}] });
    expect(await probe({ protocol: 'http', tls: {}, ...at(server.port) })).toMatchObject({ healthy: false });
  });

  it.each([
    [
      'a healthy one',
      { '/api/v1/version': [200, { version: '1.24.0' }], '/api/v1/user authorized': [200, { login: 'devstack' }] },
      { healthy: true, details: { version: '1.24.0', login: 'devstack' } },
    ],
    [
      'a wrong password',
      { '/api/v1/version': [200, { version: '1.24.0' }], '/api/v1/user': [401, {}] },
      { healthy: false, reason: 'The login of "devstack" was refused.' },
    ],
    [
      'a lost database',
      { '/api/v1/version': [200, { version: '1.24.0' }], '/api/v1/user': [500, {}] },
      { healthy: false, reason: 'The API cannot read its database.' },
    ],
    [
      'another HTTP service',
      { '/api/v1/version': [200, 'hello'] },
      { healthy: false, reason: 'The API did not tell its version.' },
    ],
  ] as const)('tells %s of Forgejo', async (_what, answer, expected) => {
    await using server = await serveHttp(answer);
    expect(await probe({ protocol: 'forgejo', ...at(server.port) })).toMatchObject(expected);
  });

  it('shows no password when Node is asked to show what it sends', async () => {
    await using server = await serveHttp({
      '/api/v1/version': [200, { version: '1.24.0' }],
      '/api/v1/user': [200, {}],
    });
    const password = 'planted-password-of-forgejo';
    const index = new URL('index.ts', import.meta.url).href;
    const program = `
      import { request } from 'node:http';
      import { Secret } from '@devstack-core/redaction';
      import { probe } from ${JSON.stringify(index)};
      const at = { host: '127.0.0.1', port: ${String(server.port)} };
      const credentials = { username: new Secret('devstack'), password: new Secret(${JSON.stringify(password)}) };
      const { healthy } = await probe({ protocol: 'forgejo', ...at, credentials });
      request({ ...at, headers: { control: 'planted-control' }, agent: false }, (answer) => answer.resume()).end();
      console.log('healthy:', healthy);`;
    const child = spawn(process.execPath, ['-C', '@devstack-core/source', '--input-type=module', '-e', program], {
      cwd: new URL('.', import.meta.url),
      env: { PATH: process.env['PATH'], NODE_DEBUG: '*', DEBUG: '*' },
    });
    const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
    const output = stdout + stderr;
    expect(output).toContain('healthy: true');
    expect(output).toContain('planted-control');
    expect(output).not.toContain(password);
    expect(output).not.toContain(Buffer.from(`devstack:${password}`).toString('base64'));
  });

  it.each([
    [
      'sealed',
      { initialized: true, sealed: true },
      { healthy: false, reason: 'Vault is sealed.', nextStep: 'Unseal it: devstack vault unseal' },
    ],
    ['not initialised', { initialized: false, sealed: true }, { healthy: false, reason: 'Vault is not initialised.' }],
    [
      'unsealed',
      { initialized: true, sealed: false },
      { healthy: true, details: { version: '1.21.1', sealed: false } },
    ],
  ])('tells a Vault that is %s', async (_what, state, expected) => {
    const answer = [200, { standby: false, version: '1.21.1', ...state }] as const;
    await using server = await serveHttp({ '/v1/sys/health': answer });
    expect(await probe({ protocol: 'vault', host: '127.0.0.1', port: server.port })).toMatchObject(expected);
  });
});

describe('what listens on a port', () => {
  it.each([
    ['an HTTP server (status 400)', '', 'HTTP/1.1 400 Bad Request\r\n\r\n'],
    ['an AMQP broker', '', 'AMQP\0\0\x09\x01'],
    ['a Redis server', '', '-ERR wrong\r\n'],
    ['a MySQL server (11.8.6-MariaDB)', 'J\0\0\0\x0a11.8.6-MariaDB\0', ''],
    ['a MySQL server', 'J\0\0\0\xff', ''],
    ['a mail or FTP server', '220 hello\r\n', ''],
    ['a PostgreSQL server', '', 'E\0\0\0'],
    ['a TLS server', '', '\x15\x03\x03'],
    ['something unknown (its first bytes: 00010203)', '\0\x01\x02\x03', ''],
  ])('is %s', async (name, greeting, reply) => {
    await using server = await talkingServer(greeting, reply);
    expect(await sniff('127.0.0.1', server.port)).toBe(name);
  });

  it('may be nothing, or something that hangs up', async () => {
    await using server = await hangingUpServer();
    expect(await sniff('127.0.0.1', server.port)).toBe('something that ends the connection without a word');
    expect(await sniff('127.0.0.1', await freePort())).toBeUndefined();
  });
});
