import { createHash, randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { docker, EngineStack, findSecrets, oddPasswords, type Engine, type EngineSpec } from '../test/engine-stack.ts';

const spec: EngineSpec = {
  service: 'rabbitmq',
  role: 'rabbitmq',
  image: 'devstack/rabbitmq:local',
  uid: 5672,
  host: 24,
  config: 'rabbitmq',
  tmpfs: [],
};

const first = { username: 'devstack', password: fresh(), erlang_cookie: fresh() };
const clientPassword = fresh();
const clients = { 'reference-api': client(clientPassword) };

let stack: EngineStack;
let engine: Engine;

beforeAll(async () => {
  stack = await EngineStack.start();
  await stack.writeSecret('rabbitmq', first);
  await stack.writeSecret('rabbitmq/clients', clients);
  engine = await stack.prepare(spec);
});

afterAll(async () => {
  await stack[Symbol.asyncDispose]();
});

describe('the first start', () => {
  it('begins anew after a kill half-way', async () => {
    await engine.create();
    await engine.waitForLog(/Starting RabbitMQ/);
    await engine.kill();
    await engine.startAgain();
  });

  it('creates the administrator and the clients with what each may do, and no guest', async () => {
    expect(await call('devstack', first.password, 'GET', 'whoami')).toMatchObject({
      status: 200,
      body: { tags: ['administrator'] },
    });
    const users = (await call('devstack', first.password, 'GET', 'users')).body as { name: string }[];
    expect(users.map((user) => user.name).sort()).toEqual(['devstack', 'devstack-health', 'reference-api']);
    const permissions = await call('devstack', first.password, 'GET', 'users/reference-api/permissions');
    expect(permissions.body).toMatchObject([
      {
        vhost: '/',
        configure: String.raw`^reference-api\.`,
        write: String.raw`^(reference-api\..*|amq\.default)$`,
        read: String.raw`^reference-api\.`,
      },
    ]);
    expect((await call('guest', 'guest', 'GET', 'whoami')).status).toBe(401);
    expect((await call('devstack', 'wrong', 'GET', 'whoami')).status).toBe(401);
  });

  it('takes messages of a client over AMQP, and refuses a wrong password and an anonymous one there', async () => {
    expect(await amqp('PLAIN', `\0reference-api\0${clientPassword}`)).toBe('tune');
    // A refusal takes the server seconds, on purpose.
    const refused = [amqp('PLAIN', '\0reference-api\0wrong'), amqp('PLAIN', '\0guest\0guest'), amqp('ANONYMOUS', '')];
    expect(await Promise.all(refused)).toEqual(['refused', 'refused', 'refused']);
  });

  it('serves metrics, and talks Erlang to nobody outside', async () => {
    const metrics = await fetch(`http://${engine.address}:15692/metrics`);
    expect(await metrics.text()).toContain('rabbitmq_build_info');
    for (const port of [4369, 25672])
      await expect(fetch(`http://${engine.address}:${String(port)}/`)).rejects.toThrow();
  });

  it('leaves the virtual machine as process 1, which stops in order on SIGTERM', async () => {
    expect((await engine.exec(['cat', '/proc/1/comm'])).stdout.trim()).toBe('beam.smp');
    await engine.stop();
    expect((await docker(['inspect', '-f', '{{.State.ExitCode}}', engine.name])).stdout.trim()).toBe('0');
    await engine.startAgain();
  });
});

describe('later starts', () => {
  it('keep messages and passwords, also in a new container', async () => {
    await call('devstack', first.password, 'PUT', 'queues/%2F/kept', { durable: true });
    await call('devstack', first.password, 'POST', 'exchanges/%2F/amq.default/publish', {
      routing_key: 'kept', payload: 'still here', payload_encoding: 'string', properties: { delivery_mode: 2 },
    }); // prettier-ignore
    await engine.recreate();
    await engine.waitHealthy();
    const got = await call('devstack', first.password, 'POST', 'queues/%2F/kept/get', {
      count: 1,
      ackmode: 'ack_requeue_true',
      encoding: 'auto',
    });
    expect(got.body).toMatchObject([{ payload: 'still here' }]);
  });

  // Each start takes seconds: all that is odd, in one.
  it.each([oddPasswords.join(' ')])('take over a rotated password, and refuse the one before: %s', async (password) => {
    const { data } = (await stack.call('GET', 'secret/data/services/rabbitmq'))['data'] as { data: typeof first };
    await stack.writeSecret('rabbitmq', { ...data, password });
    await engine.restart();
    expect((await call('devstack', password, 'GET', 'whoami')).status).toBe(200);
    expect((await call('devstack', data.password, 'GET', 'whoami')).status).toBe(401);
  });

  it('lock out a client that is gone', async () => {
    await stack.writeSecret('rabbitmq/clients', {});
    await engine.restart();
    expect(await amqp('PLAIN', `\0reference-api\0${clientPassword}`)).toBe('refused');
    await stack.writeSecret('rabbitmq/clients', clients);
  });
});

describe('the fallback without AppRole', () => {
  // The next test starts with AppRole again: the way back.
  it('starts with a token, and says so loudly', async () => {
    await engine.recreateWithToken();
    expect(await engine.logs()).toMatch(/WARNING: rabbitmq uses a token minted from the root token/);
    // The client that was gone is back.
    expect(await amqp('PLAIN', `\0reference-api\0${clientPassword}`)).toBe('tune');
  });
});

describe('secrets', () => {
  it('are found nowhere that others can look, and a planted one is found', async () => {
    const planted = fresh();
    await stack.writeSecret('rabbitmq', first);
    await docker(['rm', '-f', engine.name]);
    await engine.create(['-e', `PLANTED=${planted}`]);
    await engine.waitHealthy();
    expect(await findSecrets(engine, [first.password, first.erlang_cookie, clientPassword])).toEqual([]);
    expect(await findSecrets(engine, [planted])).toEqual(expect.arrayContaining(['inspect: raw', 'environ: raw']));
  });
});

async function call(
  username: string,
  password: string,
  method: string,
  path: string,
  body?: unknown,
): Promise<{ status: number; body: unknown }> {
  const answer = await fetch(`http://${engine.address}:15672/api/${path}`, {
    method,
    headers: {
      authorization: `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`,
      'content-type': 'application/json',
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  return { status: answer.status, body: text.startsWith('{') || text.startsWith('[') ? JSON.parse(text) : text };
}

// The AMQP 0-9-1 handshake up to the answer to the login: `tune` when it was taken.
async function amqp(mechanism: string, response: string): Promise<'tune' | 'refused'> {
  const script = `
    const [host, mechanism, response] = JSON.parse(require('fs').readFileSync(0, 'utf8'));
    const socket = require('net').connect(5672, host, () => socket.write(Buffer.from('AMQP\\0\\0\\x09\\x01', 'latin1')));
    const short = (text) => Buffer.concat([Buffer.from([text.length]), Buffer.from(text)]);
    const long = (text) => { const b = Buffer.from(text); const n = Buffer.alloc(4); n.writeUInt32BE(b.length); return Buffer.concat([n, b]); };
    const finish = (word) => { console.log(word); process.exit(0); };
    let seen = Buffer.alloc(0);
    socket.on('data', (chunk) => {
      seen = Buffer.concat([seen, chunk]);
      while (seen.length >= 7 && seen.length >= 8 + seen.readUInt32BE(3)) {
        const size = seen.readUInt32BE(3); const body = seen.subarray(7, 7 + size); seen = seen.subarray(8 + size);
        const method = body.readUInt32BE(0);
        if (method === 0x000a000a) {
          const payload = Buffer.concat([Buffer.from([0, 10, 0, 11]), long(''), short(mechanism), long(response), short('en_US')]);
          const head = Buffer.alloc(7); head[0] = 1; head.writeUInt32BE(payload.length, 3);
          socket.write(Buffer.concat([head, payload, Buffer.from([0xce])]));
        } else finish(method === 0x000a001e ? 'tune' : 'refused');
      }
    });
    socket.on('close', () => finish('refused')); socket.on('error', () => finish('refused'));`;
  const result = await engine.exec(['node', '-e', script], JSON.stringify([engine.address, mechanism, response]));
  return result.stdout.trim() === 'tune' ? 'tune' : 'refused';
}

function client(password: string): string {
  const salt = randomBytes(4);
  const hash = createHash('sha256').update(salt).update(password, 'utf8').digest();
  return JSON.stringify({
    verifier: Buffer.concat([salt, hash]).toString('base64'),
    role: 'reference-api',
    grants: 'application',
  });
}

function fresh(): string {
  return randomBytes(16).toString('hex');
}
