import { once } from 'node:events';
import { request as httpsRequest } from 'node:https';
import { writeFile } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestStack, type TestStack } from '../test/stack.ts';
import { load, tlsClient, tlsRequest } from '../test/tls-client.ts';
import type { HealthReport } from './health.ts';
import { startService, type Service } from './service.ts';
import type { Settings } from './settings.ts';

let stack: TestStack;

beforeAll(async () => {
  stack = await startTestStack();
});
afterAll(async () => stack[Symbol.asyncDispose]());

interface Running extends AsyncDisposable {
  readonly service: Service;
  readonly tlsUrl: string;
  readonly log: () => string;
  health(): Promise<HealthReport>;
}

async function running(change: Partial<Settings> = {}): Promise<Running> {
  const output = new PassThrough();
  let log = '';
  output.on('data', (chunk: Buffer) => (log += chunk.toString()));
  const settings = { ...stack.tlsSettings, ...change };
  const service = await startService({ settings, output, redisNatMap: stack.tlsRedisNatMap });
  await service.loggedIn;
  return {
    service,
    tlsUrl: service.tlsUrl ?? '',
    log: () => log,
    health: async () => (await (await fetch(`${service.url}/health`)).json()) as HealthReport,
    [Symbol.asyncDispose]: () => service.drain(),
  };
}

const withTtl = (certificateTtlS: number): Partial<Settings> => ({
  tls: { ...stack.tlsSettings.tls, certificateTtlS },
});
const servers = ['database', 'redis', 'mysql', 'mongodb', 'rabbitmq'];
const reasonsOf = ({ details }: HealthReport): unknown[] => servers.map((name) => details[name]?.reason);

describe('a client of servers that speak TLS', () => {
  it('verifies them all, and keeps notes through them', async () => {
    await using api = await running();
    await expect
      .poll(() => api.health(), { timeout: 20_000 })
      .toMatchObject({
        status: 'healthy',
        services: Object.fromEntries([...servers, 'vault', 'certificate'].map((name) => [name, 'connected'])),
      });
    const created = await fetch(`${api.service.url}/api/v1/notes`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ title: 'by TLS', body: 'b' }),
    });
    const { id } = (await created.json()) as { id: string };
    expect(created.status).toBe(201);
    const history = async (): Promise<unknown> =>
      ((await (await fetch(`${api.service.url}/api/v1/notes/${id}/history`)).json()) as { events: unknown[] }).events;
    await expect.poll(history, { timeout: 20_000 }).toHaveLength(1);
  });

  it('refuses all of them under a foreign root, and takes them without a restart when the roots are exchanged', async () => {
    const rootsFile = join(stack.settings.vault.directory, 'exchanged.pem');
    await writeFile(rootsFile, stack.foreignRoots);
    await using api = await running({ rootsFile });
    expect(reasonsOf(await api.health())).toEqual(servers.map(() => 'TLS_FAILED'));
    await writeFile(rootsFile, stack.foreignRoots + stack.roots);
    await expect.poll(async () => (await api.health()).status, { timeout: 20_000 }).toBe('healthy');
  });

  it('refuses a certificate for another name', async () => {
    // No certificate is for an address.
    const at = <T extends { readonly port: number }>(server: T): T => ({ ...server, host: '127.0.0.1' });
    const { postgres, mysql, mongodb, rabbitmq, redis } = stack.tlsSettings;
    await using api = await running({
      ...{ postgres: at(postgres), mysql: at(mysql), mongodb: at(mongodb), rabbitmq: at(rabbitmq) },
      redis: { ...redis, nodes: [at(redis.nodes[0])] },
    });
    expect(reasonsOf(await api.health())).toEqual(servers.map(() => 'TLS_FAILED'));
  });

  it('says so where the roots are not there', async () => {
    await using api = await running({ rootsFile: '/no/such/ca.pem' });
    expect(reasonsOf(await api.health())).toEqual(servers.map(() => 'ROOTS_UNREADABLE'));
    expect((await api.health()).services).toMatchObject({ certificate: 'disconnected', vault: 'connected' });
  });
});

describe('a server that speaks TLS', () => {
  it('answers HTTPS under its own name, beside HTTP, and tells when its certificate ends', async () => {
    await using api = await running();
    await expect.poll(async () => (await api.health()).services['certificate'], { timeout: 10_000 }).toBe('connected');
    using client = tlsClient(api.tlsUrl, stack.roots);
    expect((await client.get('/openapi.json')).status).toBe(200);
    const metrics = (await client.get('/metrics')).body;
    const end = /devstack_certificate_not_after_seconds\{service="reference-api",kind="leaf"\} (\d+)/.exec(
      metrics,
    )?.[1];
    const days = (Number(end) - Date.now() / 1000) / 86_400;
    expect(days).toBeGreaterThan(89);
    expect(metrics).toContain('devstack_certificate_renewals_total{outcome="renewed"} 1');

    using stranger = tlsClient(api.tlsUrl, stack.foreignRoots);
    await expect(stranger.get('/health')).rejects.toMatchObject({
      code: expect.stringMatching(/SELF_SIGNED|UNABLE_TO/) as string,
    });
    await expect(fetch(api.tlsUrl.replace('https', 'http'))).rejects.toThrow();
    // The key is in memory and nowhere else.
    expect(api.log()).not.toContain('PRIVATE KEY');
  });

  it('renews its certificate under load without a failed request; a listener that is opened anew fails some', async () => {
    await using api = await running(withTtl(4));
    await expect.poll(async () => (await api.health()).services['certificate'], { timeout: 10_000 }).toBe('connected');
    const requests = load(api.tlsUrl, stack.roots);
    const renewals = (): number => api.log().split('a certificate is served').length - 1;
    await expect.poll(renewals, { timeout: 30_000 }).toBeGreaterThanOrEqual(4);
    // What is asked for by hand is one more.
    const before = renewals();
    api.service.renewCertificate();
    await expect.poll(renewals, { timeout: 2000, interval: 20 }).toBeGreaterThan(before);
    const report = await requests.stop();
    expect(report.failures).toEqual([]);
    expect(report.answered).toBeGreaterThan(100);
    expect(report.serials).toBeGreaterThanOrEqual(4);
    // One connection has lived through all of it.
    expect(report.longestLived).toBeGreaterThan(50);

    const control = await running();
    await expect
      .poll(async () => (await control.health()).services['certificate'], { timeout: 10_000 })
      .toBe('connected');
    const others = load(control.tlsUrl, stack.roots);
    const port = Number(new URL(control.tlsUrl).port);
    await control.service.drain();
    await using again = await running({ tls: { ...stack.tlsSettings.tls, listen: { host: '127.0.0.1', port } } });
    await expect
      .poll(async () => (await again.health()).services['certificate'], { timeout: 10_000 })
      .toBe('connected');
    expect((await others.stop()).failures).not.toEqual([]);
  });

  it('keeps the old certificate while Vault is sealed, and has a new one when it is back', async () => {
    await using api = await running(withTtl(9));
    await expect.poll(async () => (await api.health()).services['certificate'], { timeout: 10_000 }).toBe('connected');
    using client = tlsClient(api.tlsUrl, stack.roots);
    const { serial } = await client.get('/openapi.json');
    await stack.root.seal();
    try {
      api.service.renewCertificate();
      await expect
        .poll(() => api.log(), { timeout: 8000, interval: 50 })
        .toContain('could not be renewed; the old one stays');
      expect(await client.get('/openapi.json')).toMatchObject({ status: 200, serial });
      expect((await client.get('/metrics')).body).toContain('devstack_certificate_renewals_total{outcome="failed"} 1');
    } finally {
      await stack.vault.unseal();
    }
    await expect
      .poll(async () => (await api.health()).services, { timeout: 20_000 })
      .toMatchObject({ certificate: 'connected', vault: 'connected' });
    await expect.poll(async () => (await client.get('/openapi.json')).serial, { timeout: 20_000 }).not.toBe(serial);
  });

  it('drains: no new connections, and what is in flight is finished', async () => {
    await using api = await running();
    await expect.poll(async () => (await api.health()).status, { timeout: 20_000 }).toBe('healthy');
    const headers = { 'content-type': 'application/json' };
    const request = httpsRequest(`${api.tlsUrl}/api/v1/notes`, tlsRequest(stack.roots, { method: 'POST', headers }));
    request.write('{"title":"in flight",');
    const [socket] = (await once(request, 'socket')) as [NodeJS.EventEmitter];
    await once(socket, 'secureConnect');
    const drained = api.service.drain();
    using client = tlsClient(api.tlsUrl, stack.roots);
    expect((await client.get('/ready')).status).toBe(503);
    await expect
      .poll(
        () =>
          client.get('/ready').then(
            () => 'open',
            (error: unknown) => (error as NodeJS.ErrnoException).code,
          ),
        { timeout: 5000 },
      )
      .toBe('ECONNREFUSED');
    request.end('"body":"finished"}');
    const [answer] = (await once(request, 'response')) as [IncomingMessage];
    answer.resume();
    expect([answer.statusCode, answer.headers.connection]).toEqual([201, 'close']);
    await drained;
    expect(api.log()).not.toContain('cut off');
  });
});
