import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { request as httpRequest, type ClientRequest, type IncomingMessage } from 'node:http';
import { PassThrough } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestStack, type TestStack } from '../test/stack.ts';
import type { Note, NoteEvent } from './notes/note.ts';
import { startService, type Service } from './service.ts';
import type { Settings } from './settings.ts';

let stack: TestStack;

beforeAll(async () => {
  stack = await startTestStack();
});
afterAll(async () => stack[Symbol.asyncDispose]());

interface Running extends AsyncDisposable {
  readonly service: Service;
  readonly log: () => string;
  get(path: string): Promise<{ status: number; headers: Headers; body: unknown }>;
  send(method: string, path: string, body?: unknown): Promise<{ status: number; headers: Headers; body: unknown }>;
}

async function running(settings: Settings = stack.settings): Promise<Running> {
  const output = new PassThrough();
  let log = '';
  output.on('data', (chunk: Buffer) => (log += chunk.toString()));
  const service = await startService({ settings, output, redisNatMap: stack.redisNatMap });
  await service.loggedIn;
  const send: Running['send'] = async (method, path, body) => {
    const answer = await fetch(service.url + path, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    });
    const text = await answer.text();
    return {
      status: answer.status,
      headers: answer.headers,
      body: text === '' ? undefined : (JSON.parse(text) as unknown),
    };
  };
  return {
    service,
    log: () => log,
    send,
    get: (path) => send('GET', path),
    [Symbol.asyncDispose]: () => service.drain(),
  };
}

describe('the service on the whole stack', () => {
  it('is healthy when every backend answers by its own protocol', async () => {
    await using api = await running();
    await expect
      .poll(async () => (await api.get('/health')).body, { timeout: 20_000 })
      .toMatchObject({
        status: 'healthy',
        services: {
          database: 'connected',
          redis: 'connected',
          mysql: 'connected',
          mongodb: 'connected',
          rabbitmq: 'connected',
          vault: 'connected',
        },
        details: { database: { latencyMs: expect.any(Number) as number } },
      });
    expect((await api.get('/ready')).status).toBe(200);
  });

  it('keeps a note in PostgreSQL, caches it in Redis, and sends its events through RabbitMQ to MongoDB and MySQL', async () => {
    await using api = await running();
    const before = (await api.get('/api/v1/statistics')).body as Record<string, number>;
    const created = await api.send('POST', '/api/v1/notes', { title: 'Tïtle', body: 'body' });
    const note = created.body as Note;
    expect(created.status).toBe(201);
    const path = `/api/v1/notes/${note.id}`;
    expect((await api.get(path)).headers.get('x-cache')).toBe('hit');
    expect((await api.send('PUT', path, { title: 'other', body: 'text' })).body).toMatchObject({
      version: 2,
      createdAt: note.createdAt,
    });
    expect((await api.get(path)).body).toMatchObject({ title: 'other', version: 2 });
    expect((await api.get('/api/v1/notes?limit=1')).body).toMatchObject({ notes: [{ id: note.id }] });
    expect((await api.send('DELETE', path)).status).toBe(204);
    expect([(await api.get(path)).status, (await api.send('DELETE', path)).status]).toEqual([404, 404]);

    const history = async (): Promise<unknown> =>
      ((await api.get(`${path}/history`)).body as { events: NoteEvent[] }).events.map(({ kind, version, title }) => [
        kind,
        version,
        title,
      ]);
    await expect.poll(history, { timeout: 20_000 }).toEqual(
      expect.arrayContaining([
        ['created', 1, 'Tïtle'],
        ['updated', 2, 'other'],
        ['deleted', 2, 'other'],
      ]),
    );
    await expect
      .poll(async () => (await api.get('/api/v1/statistics')).body, { timeout: 20_000 })
      .toEqual({
        created: (before['created'] ?? 0) + 1,
        updated: (before['updated'] ?? 0) + 1,
        deleted: (before['deleted'] ?? 0) + 1,
      });
  });

  it('pages through notes, each once', async () => {
    await using api = await running();
    const ids: string[] = [];
    for (let index = 0; index < 5; index += 1)
      ids.unshift(((await api.send('POST', '/api/v1/notes', { title: String(index), body: 'b' })).body as Note).id);
    const seen: string[] = [];
    let next: string | null = '';
    while (next !== null && seen.length < 5) {
      const page = (await api.get(`/api/v1/notes?limit=2${next === '' ? '' : `&after=${next}`}`)).body as {
        notes: Note[];
        next: string | null;
      };
      seen.push(...page.notes.map(({ id }) => id));
      next = page.next;
    }
    expect(seen.slice(0, 5)).toEqual(ids);
  });

  it('renews its token, and logs in anew when the token cannot live longer', async () => {
    await using api = await running();
    await expect.poll(() => api.log(), { timeout: 15_000, interval: 200 }).toContain('renewed the Vault token');
    await expect.poll(() => api.log(), { timeout: 15_000, interval: 200 }).toContain('logged in to Vault again');
    expect((await api.get('/health')).body).toMatchObject({ services: { vault: 'connected' } });
  });

  it('follows a password that was rotated, without a restart', async () => {
    await using api = await running();
    await expect.poll(async () => (await api.get('/health')).status, { timeout: 20_000 }).toBe(200);
    await stack.rotateMysqlPassword();
    await expect.poll(async () => (await api.get('/api/v1/statistics')).status, { timeout: 10_000 }).toBe(200);
  });

  it('saves notes while the broker is away, and sends their events when it is back', async () => {
    await using api = await running();
    await expect.poll(async () => (await api.get('/health')).status, { timeout: 20_000 }).toBe(200);
    await stack.rabbitmq.exec('kill -STOP $(pgrep -o beam.smp)');
    let note: Note;
    try {
      const created = await api.send('POST', '/api/v1/notes', { title: 'offline', body: 'b' });
      expect(created.status).toBe(201);
      note = created.body as Note;
      await expect
        .poll(async () => (await api.get('/health')).body, { timeout: 15_000 })
        .toMatchObject({ services: { rabbitmq: 'disconnected', database: 'connected' } });
    } finally {
      await stack.rabbitmq.exec('kill -CONT $(pgrep -o beam.smp)');
    }
    const history = async (): Promise<number> =>
      ((await api.get(`/api/v1/notes/${note.id}/history`)).body as { events: unknown[] }).events.length;
    await expect.poll(history, { timeout: 30_000 }).toBe(1);
  });

  it('tells no secret in its log, its answers or its metrics; a planted one would be seen', async () => {
    await using api = await running({ ...stack.settings, logLevel: 'trace' });
    await api.send('POST', '/api/v1/notes', { title: stack.secrets[0], body: 'planted' });
    const metrics = await (await fetch(`${api.service.url}/metrics`)).text();
    const said = api.log() + metrics + JSON.stringify((await api.get('/health')).body);
    for (const secret of stack.secrets) expect(said).not.toContain(secret);
    const list = JSON.stringify((await api.get('/api/v1/notes?limit=1')).body);
    expect(stack.secrets.some((secret) => list.includes(secret))).toBe(true);
  });
});

describe('the process', () => {
  interface Api extends AsyncDisposable {
    readonly child: ChildProcess;
    readonly url: string;
    readonly exited: Promise<number | null>;
    readonly log: () => string;
  }

  async function start(environment: Record<string, string> = {}): Promise<Api> {
    const { settings } = stack;
    const main = fileURLToPath(new URL('main.ts', import.meta.url));
    const child = spawn(process.execPath, ['-C', '@devstack-core/source', main], {
      env: {
        LISTEN_HOST: '127.0.0.1',
        LISTEN_PORT: '0',
        VAULT_ADDR: settings.vault.address,
        VAULT_APPROLE_PATH: settings.vault.directory,
        ...address('POSTGRES', settings.postgres),
        ...address('MYSQL', settings.mysql),
        ...address('MONGODB', settings.mongodb),
        ...address('RABBITMQ', settings.rabbitmq),
        // The nodes' own addresses: on Linux the host reaches them.
        REDIS_NODES: Object.keys(stack.redisNatMap).join(','),
        DRAIN_DELAY_MS: '500',
        ...environment,
      },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let log = '';
    child.stdout.on('data', (chunk: Buffer) => (log += chunk.toString()));
    const exited = once(child, 'exit').then(([code]) => code as number | null);
    const stop = async (): Promise<void> => {
      child.kill('SIGKILL');
      await exited;
    };
    await expect.poll(() => log, { timeout: 15_000 }).toMatch(/listening at|"fatal"/);
    return {
      child,
      exited,
      log: () => log,
      url: /listening at (http:[^"]+)/.exec(log)?.[1] ?? '',
      [Symbol.asyncDispose]: stop,
    };
  }

  it('on SIGTERM is no longer ready, finishes what is in flight, takes no more, and exits with 0', async () => {
    await using api = await start();
    await expect.poll(async () => (await fetch(`${api.url}/ready`)).status, { timeout: 20_000 }).toBe(200);
    const { request, answer } = beginPost(`${api.url}/api/v1/notes`);
    request.write('{"title":"in flight",');
    await new Promise((resolve) =>
      request.once('socket', (socket) => (socket.connecting ? socket.once('connect', resolve) : resolve(undefined))),
    );

    api.child.kill('SIGTERM');
    await expect.poll(async () => (await fetch(`${api.url}/ready`)).status, { timeout: 2000, interval: 20 }).toBe(503);
    // Past the delay: the listener is closed, and the request still open.
    await expect
      .poll(
        () =>
          fetch(`${api.url}/ready`).then(
            () => 'open',
            () => 'closed',
          ),
        { timeout: 5000 },
      )
      .toBe('closed');
    request.end('"body":"finished"}');
    const { statusCode, headers } = await answer;
    expect([statusCode, headers.connection]).toEqual([201, 'close']);
    expect(await api.exited).toBe(0);
    expect(api.log()).toContain('"drained"');
  });

  it('ends at once with the second signal', async () => {
    await using api = await start({ DRAIN_DELAY_MS: '60000' });
    api.child.kill('SIGTERM');
    await expect.poll(() => api.log(), { timeout: 5000 }).toContain('draining');
    api.child.kill('SIGTERM');
    expect(await api.exited).toBe(143);
  });

  it('says why it cannot start', async () => {
    await using api = await start({ VAULT_APPROLE_PATH: '/no/such/folder' });
    expect(await api.exited).toBe(1);
    expect(api.log()).toMatch(/"level":"fatal".*APPROLE_FILE_MISSING/);
  });

  it('waits for a Vault that is sealed, and says so in its health', async () => {
    await stack.root.seal();
    try {
      await using api = await start();
      await expect.poll(() => api.log(), { timeout: 15_000 }).toContain('VAULT_SEALED');
      const health = (await (await fetch(`${api.url}/health`)).json()) as {
        details: Record<string, { reason?: string }>;
      };
      expect(health).toMatchObject({
        status: 'unhealthy',
        services: { vault: 'disconnected', database: 'disconnected' },
        details: { database: { reason: 'CREDENTIALS_PENDING' } },
      });
      await stack.vault.unseal();
      await expect.poll(async () => (await fetch(`${api.url}/ready`)).status, { timeout: 30_000 }).toBe(200);
    } finally {
      await stack.vault.unseal();
    }
  });

  function address(prefix: string, { host, port }: { host: string; port: number }): Record<string, string> {
    return { [`${prefix}_HOST`]: host, [`${prefix}_PORT`]: String(port) };
  }

  function beginPost(url: string): { request: ClientRequest; answer: Promise<IncomingMessage> } {
    const request = httpRequest(url, { method: 'POST', headers: { 'content-type': 'application/json' } });
    const answer = once(request, 'response').then(([message]) => {
      (message as IncomingMessage).resume();
      return message as IncomingMessage;
    });
    return { request, answer };
  }
});
