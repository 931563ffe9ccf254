import { createServer as createHttpServer } from 'node:http';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { describe, expect, it } from 'vitest';
import { rootFolder } from '../test/served.ts';
import { issueFromRoot, probePlaintext, type PlaintextProtocol } from './index.ts';

async function listening(server: Server): Promise<{ port: number } & AsyncDisposable> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
  });
  server.on('tlsClientError', () => undefined);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const probe = async (server: { port: number }, protocol: PlaintextProtocol) =>
  (await probePlaintext({ host: '127.0.0.1', port: server.port, protocol, timeoutMs: 500 })).verdict;
const error = (text: string): Buffer => {
  const fields = Buffer.from(`SFATAL\0C28000\0M${text}\0\0`);
  const head = Buffer.from([0x45, 0, 0, 0, 0]);
  head.writeUInt32BE(fields.length + 4, 1);
  return Buffer.concat([head, fields]);
};
const packet = (sequence: number, ...body: number[]): Buffer => Buffer.from([body.length, 0, 0, sequence, ...body]);
const answering = (bytes: Buffer | string) => (socket: Socket) => socket.once('data', () => socket.write(bytes));

describe('probePlaintext', () => {
  it.each([
    ['postgres', 'a login is asked for', answering(Buffer.from([0x52, 0, 0, 0, 8, 0, 0, 0, 10])), 'accepted'],
    [
      'postgres',
      'encryption is asked for',
      answering(error('no pg_hba.conf entry for host "x", user "y", database "z", no encryption')),
      'refused',
    ],
    ['postgres', 'a pooler asks for it', answering(error('SSL required')), 'refused'],
    ['postgres', 'another error comes', answering(error('the database system is starting up')), 'accepted'],
    ['redis', 'it answers', answering('-NOAUTH Authentication required.\r\n'), 'accepted'],
    ['amqp', 'a frame comes', answering(Buffer.from([1, 0, 0, 0, 0])), 'accepted'],
    ['amqp', 'another version comes', answering('AMQP\0\0\x09\x01'), 'accepted'],
    ['http', 'a page comes', answering('HTTP/1.1 200 OK\r\n\r\n'), 'accepted'],
    [
      'http',
      'HTTPS is asked for',
      answering('HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n'),
      'refused',
    ],
    [
      'http',
      'a bad request is all it says',
      (socket: Socket) => socket.once('data', () => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')),
      'accepted',
    ],
    [
      'mongodb',
      'a message comes',
      answering(Buffer.concat([Buffer.alloc(12), Buffer.from([0xdd, 7, 0, 0])])),
      'accepted',
    ],
    ['redis', 'it ends the connection', (socket: Socket) => socket.once('data', () => socket.end()), 'refused'],
    [
      'mongodb',
      'it resets the connection',
      (socket: Socket) => socket.once('data', () => socket.resetAndDestroy()),
      'refused',
    ],
    ['redis', 'it says nothing', () => undefined, 'silent'],
  ] as const)('%s: %s', async (protocol, _name, behave, verdict) => {
    await using server = await listening(createServer(behave));
    expect(await probe(server, protocol)).toBe(verdict);
  });

  it.each([
    ['goes on with the login', packet(2, 0xfe, 0, 0, 0, 0, 0, 0), 'accepted'],
    ['wants encryption', packet(2, 0xff, 0x57, 0x0c, 0x23, 0x30), 'refused'],
    ['refuses the login', packet(2, 0xff, 0x15, 0x04, 0x23, 0x32), 'accepted'],
  ])('mysql: a server that %s', async (_name, second, verdict) => {
    await using server = await listening(
      createServer((socket) => {
        socket.write(packet(0, 10, ...Buffer.from('11.8\0'), ...Buffer.alloc(30)));
        socket.once('data', () => {
          socket.write(second.subarray(0, 3));
          setImmediate(() => socket.write(second.subarray(3)));
        });
      }),
    );
    expect(await probe(server, 'mysql')).toBe(verdict);
    await using closed = await listening(createServer((socket) => socket.write(packet(0, 0xff, 0x6a, 0x04))));
    expect(await probe(closed, 'mysql')).toBe('accepted');
  });

  it('a server that speaks TLS alone refuses every protocol in which the client begins; one that speaks HTTP does not', async () => {
    await using folder = await rootFolder();
    const leaf = await issueFromRoot({ root: folder.root, commonName: 'server' });
    await using tls = await listening(createTlsServer({ cert: leaf.certificatePem, key: leaf.privateKey.reveal() }));
    for (const protocol of ['postgres', 'redis', 'amqp', 'http', 'mongodb'] as const)
      expect([protocol, await probe(tls, protocol)]).toEqual([protocol, 'refused']);
    expect(await probe(tls, 'mysql')).toBe('silent');
    await using http = await listening(createHttpServer((_request, response) => response.end('hello')));
    expect(await probe(http, 'http')).toBe('accepted');
  });

  it('proves nothing where nothing listens', async () => {
    const server = await listening(createServer());
    await server[Symbol.asyncDispose]();
    expect(await probe(server, 'redis')).toBe('unreachable');
  });
});
