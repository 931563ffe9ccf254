import { connect } from 'node:net';
import { DevstackError } from '@devstack-core/errors';
import { describe, expect, it } from 'vitest';
import { fakeApp, memoryStore } from '../../test/fakes.ts';

const unknownId = '00000000-0000-4000-8000-000000000000';

function unavailable(): Promise<never> {
  return Promise.reject(
    new DevstackError({
      code: 'BACKEND_UNAVAILABLE',
      message: 'database is not available (CONNECTION_REFUSED).',
      details: { reason: 'CONNECTION_REFUSED' },
    }),
  );
}

describe('notes over HTTP', () => {
  it('can be written, read, changed and deleted', async () => {
    const { app } = await fakeApp();
    const created = await app.inject({ method: 'POST', url: '/api/v1/notes', payload: { title: 'a', body: 'b' } });
    expect(created.statusCode).toBe(201);
    expect(created.headers).toMatchObject({ etag: '"1"', 'cache-control': 'no-store' });
    const url = String(created.headers.location);

    const read = await app.inject(url);
    expect([read.statusCode, read.headers['x-cache'], read.json()]).toEqual([200, 'hit', created.json()]);

    const changed = await app.inject({
      method: 'PUT',
      url,
      payload: { title: 'c', body: 'd' },
      headers: { 'if-match': '"1"' },
    });
    expect(changed.json()).toMatchObject({ title: 'c', version: 2 });
    const late = await app.inject({
      method: 'PUT',
      url,
      payload: { title: 'e', body: 'f' },
      headers: { 'if-match': '"1"' },
    });
    expect([late.statusCode, late.json()]).toMatchObject([412, { code: 'NOTE_CHANGED' }]);
    expect((await app.inject({ method: 'DELETE', url, headers: { 'if-match': '"1"' } })).statusCode).toBe(412);

    expect((await app.inject({ method: 'DELETE', url })).statusCode).toBe(204);
    expect((await app.inject(url)).statusCode).toBe(404);
    expect((await app.inject({ method: 'DELETE', url })).statusCode).toBe(404);
    expect((await app.inject({ method: 'PUT', url, payload: { title: 'c', body: 'd' } })).statusCode).toBe(404);
  });

  it('are listed page by page, each once', async () => {
    const { app } = await fakeApp();
    for (const title of ['1', '2', '3', '4', '5'])
      await app.inject({ method: 'POST', url: '/api/v1/notes', payload: { title, body: 'b' } });
    const titles: string[] = [];
    for (let next: string | null = ''; next !== null;) {
      const page: { notes: { title: string }[]; next: string | null } = (
        await app.inject(`/api/v1/notes?limit=2${next === '' ? '' : `&after=${next}`}`)
      ).json();
      titles.push(...page.notes.map(({ title }) => title));
      next = page.next;
    }
    expect(titles).toEqual(['5', '4', '3', '2', '1']);
    expect((await app.inject('/api/v1/notes?after=nonsense')).statusCode).toBe(400);
  });

  it('are served without the cache when that is away', async () => {
    const { app, logged } = await fakeApp({
      cache: { read: unavailable, fill: unavailable, put: unavailable, markGone: unavailable },
    });
    const created = await app.inject({ method: 'POST', url: '/api/v1/notes', payload: { title: 'a', body: 'b' } });
    const read = await app.inject(String(created.headers.location));
    expect([created.statusCode, read.statusCode, read.headers['x-cache']]).toEqual([201, 200, 'miss']);
    expect(await logged()).toContain('the cache is away');
  });

  it('have a history and counts', async () => {
    const { app, events } = await fakeApp();
    events.push({
      id: unknownId,
      kind: 'created',
      noteId: unknownId,
      version: 1,
      title: 'a',
      body: 'b',
      occurredAt: '2026-01-01T00:00:00.000Z',
    });
    expect((await app.inject(`/api/v1/notes/${unknownId}/history`)).json()).toEqual({ events });
    expect((await app.inject('/api/v1/statistics')).json()).toEqual({ created: 1, updated: 2, deleted: 3 });
  });
});

describe('an error', () => {
  const note = { title: 'a', body: 'b' };
  const post = { method: 'POST', url: '/api/v1/notes' } as const;
  it.each([
    ['an unknown path', { method: 'GET', url: '/nowhere?secret=1' }, 404, {}],
    ['an unknown method', { method: 'PATCH', url: '/api/v1/notes' }, 404, {}],
    ['an unknown note', { method: 'GET', url: `/api/v1/notes/${unknownId}` }, 404, { code: 'NOTE_NOT_FOUND' }],
    [
      'no id',
      { method: 'GET', url: '/api/v1/notes/1' },
      400,
      { errors: [{ pointer: '#/params/id', detail: 'must match format "uuid"' }] },
    ],
    [
      'missing fields',
      { ...post, payload: {} },
      400,
      { errors: [{ pointer: '#/body/title' }, { pointer: '#/body/body' }] },
    ],
    ['an unknown field', { ...post, payload: { ...note, id: 1 } }, 400, { errors: [{ pointer: '#/body/id' }] }],
    [
      'a byte that no database takes',
      { ...post, payload: { ...note, title: 'a\0b' } },
      400,
      { errors: [{ pointer: '#/body/title' }] },
    ],
    [
      'a page that is too long',
      { method: 'GET', url: '/api/v1/notes?limit=1000' },
      400,
      { errors: [{ pointer: '#/querystring/limit' }] },
    ],
    [
      'a version that is none',
      { method: 'DELETE', url: `/api/v1/notes/${unknownId}`, headers: { 'if-match': '*' } },
      400,
      { code: 'VALIDATION' },
    ],
    ['no JSON', { ...post, payload: '{', headers: { 'content-type': 'application/json' } }, 400, {}],
    ['another type', { ...post, payload: 'a', headers: { 'content-type': 'text/plain' } }, 415, {}],
    ['too much', { ...post, payload: { ...note, body: 'x'.repeat(200_000) } }, 413, {}],
    ['a path that is none', { method: 'GET', url: '/api/v1/notes/%zz' }, 400, {}],
  ] as const)('is a problem of RFC 9457: %s', async (_, request, status, fields) => {
    const { app } = await fakeApp();
    const answer = await app.inject(request);
    expect(answer.headers['content-type']).toBe('application/problem+json');
    expect(answer.json()).toMatchObject({
      status,
      type: expect.stringMatching(/^(about:blank$|urn:devstack:problem:)/) as string,
      title: expect.any(String) as string,
      ...fields,
    });
    expect([answer.statusCode, answer.json<{ requestId: string }>().requestId]).toEqual([
      status,
      answer.headers['x-request-id'],
    ]);
    expect(answer.json<{ instance: string }>().instance).not.toContain('?');
  });

  it('of a database that is away is a 503 that says when to come back', async () => {
    const { app } = await fakeApp({ store: { ...memoryStore(), create: unavailable } });
    const answer = await app.inject({ ...post, payload: note });
    expect([answer.statusCode, answer.headers['retry-after'], answer.json()]).toMatchObject([
      503,
      '1',
      { code: 'BACKEND_UNAVAILABLE' },
    ]);
  });

  it('that nobody thought of tells its text to the log alone, masked', async () => {
    const { app, registry, logged } = await fakeApp({
      store: { ...memoryStore(), create: () => Promise.reject(new Error('refused hunter2-hunter2')) },
    });
    registry.add('hunter2-hunter2');
    const answer = await app.inject({ ...post, payload: note, headers: { 'x-request-id': 'given-1' } });
    expect([answer.statusCode, answer.body.includes('hunter2'), answer.headers['x-request-id']]).toEqual([
      500,
      false,
      'given-1',
    ]);
    const log = await logged();
    expect(log).toContain('refused [secret]');
    expect(log).not.toContain('hunter2');
  });

  it('of what is not even HTTP is a problem, too', async () => {
    const { app } = await fakeApp();
    await app.listen({ host: '127.0.0.1', port: 0 });
    const { port } = app.server.address() as { port: number };
    const answer = await new Promise<string>((resolve) => {
      let text = '';
      const socket = connect(port, '127.0.0.1', () => socket.write('nonsense\r\n\r\n'));
      socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
      socket.on('close', () => {
        resolve(text);
      });
    });
    expect(answer).toMatch(/^HTTP\/1\.1 400 [^]*content-type: application\/problem\+json[^]*"status":400/);
    await app.close();
  });
});

describe('for whoever runs the service', () => {
  it('health says how each service is, and how long it took', async () => {
    const { app } = await fakeApp({
      checked: [
        { name: 'database', check: async () => undefined },
        { name: 'redis', check: unavailable },
        { name: 'mysql', check: () => new Promise(() => undefined) },
        { name: 'mongodb', check: () => Promise.reject(new Error('user:password@host')) },
      ],
    });
    const answer = await app.inject('/health');
    expect([answer.statusCode, answer.json()]).toMatchObject([
      503,
      {
        status: 'unhealthy',
        uptime: expect.any(Number) as number,
        services: { database: 'connected', redis: 'disconnected', mysql: 'disconnected', mongodb: 'disconnected' },
        details: {
          redis: { reason: 'CONNECTION_REFUSED' },
          mysql: { reason: 'TIMED_OUT' },
          mongodb: { reason: 'FAILED' },
        },
      },
    ]);
    // Notes can still be served.
    expect((await app.inject('/ready')).statusCode).toBe(200);
    const metrics = (await app.inject('/metrics')).body;
    expect(metrics).toContain('devstack_backend_up{backend="database"} 1');
    expect(metrics).toContain('devstack_backend_up{backend="redis"} 0');
    expect(metrics).toContain('http_requests_total{method="GET",route="/health",status="503"} 1');
  });

  it('ready is no without the database', async () => {
    const { app } = await fakeApp({ checked: [{ name: 'database', check: unavailable }] });
    const answer = await app.inject('/ready');
    expect([answer.statusCode, answer.json()]).toEqual([
      503,
      { status: 'unhealthy', services: { database: 'disconnected' } },
    ]);
  });

  it('ready is no while it drains, and connections are closed', async () => {
    let isDraining = false;
    const { app } = await fakeApp({ isDraining: () => isDraining });
    expect([(await app.inject('/health')).statusCode, (await app.inject('/ready')).json()]).toMatchObject([
      200,
      { status: 'ready' },
    ]);
    isDraining = true;
    const answer = await app.inject('/ready');
    expect([answer.statusCode, answer.json(), answer.headers.connection]).toEqual([
      503,
      { status: 'draining', services: {} },
      'close',
    ]);
  });

  it('OpenAPI describes every route and every problem', async () => {
    const { app } = await fakeApp();
    const api = (await app.inject('/openapi.json')).json<{
      openapi: string;
      paths: Record<string, object>;
      components: { schemas: object };
    }>();
    expect(api.openapi).toBe('3.1.0');
    expect(Object.entries(api.paths).map(([path, methods]) => `${path} ${Object.keys(methods).join(',')}`)).toEqual([
      '/health get',
      '/ready get',
      '/metrics get',
      '/api/v1/notes post,get',
      '/api/v1/notes/{id} get,put,delete',
      '/api/v1/notes/{id}/history get',
      '/api/v1/statistics get',
    ]);
    expect(Object.keys(api.components.schemas)).toEqual(['Problem', 'Note']);
  });

  it('the log has a line per request, without its query and headers', async () => {
    const { app, logged } = await fakeApp();
    await app.inject({ url: `/api/v1/notes/${unknownId}?token=abc`, headers: { authorization: 'Bearer abc' } });
    const log = await logged();
    expect(log).not.toContain('abc');
    const lines = log
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(lines).toMatchObject([
      { level: 'info', service: 'reference-api', req: { method: 'GET', path: `/api/v1/notes/${unknownId}` } },
      { level: 'info', res: { statusCode: 404 } },
    ]);
  });
});
