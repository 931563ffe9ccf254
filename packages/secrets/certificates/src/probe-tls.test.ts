import { createServer as createTcpServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, type TlsOptions } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { rootFolder, type RootFolder } from '../test/served.ts';
import { issueFromRoot, probeTls, verifyServed, type LeafCertificate, type ProbeTlsOptions } from './index.ts';

const hour = 3_600_000;
let folder: RootFolder;
let stranger: RootFolder;
let leaf: LeafCertificate;
beforeAll(async () => {
  [folder, stranger] = await Promise.all([rootFolder(), rootFolder()]);
  leaf = await issueFromRoot({ root: folder.root, commonName: 'server', ipAddresses: ['127.0.0.1'] });
});
afterAll(async () => {
  await folder[Symbol.asyncDispose]();
  await stranger[Symbol.asyncDispose]();
});

async function listening(server: Server): Promise<{ port: number } & AsyncDisposable> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
  });
  server.on('tlsClientError', () => undefined);
  server.on('secureConnection', (socket: Socket) => socket.on('error', () => undefined));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const tlsServer = (certificate: LeafCertificate = leaf, options: TlsOptions = {}) =>
  listening(
    createTlsServer({
      cert: `${certificate.certificatePem}${certificate.chainPem}`,
      key: certificate.privateKey.reveal(),
      ...options,
    }),
  );

const plainServer = (onConnection: (socket: Socket) => void) => listening(createTcpServer(onConnection));

const probe = async (server: { port: number }, options: Partial<ProbeTlsOptions> = {}) =>
  probeTls({ host: '127.0.0.1', port: server.port, servername: 'server', ca: folder.root.bundlePem, ...options });

describe('probeTls', () => {
  it('is ok for a certificate of the root and of that name or address, and shows it', async () => {
    await using server = await tlsServer();
    const verdict = await probe(server);
    expect(verdict).toMatchObject({
      verdict: 'ok',
      protocol: 'TLSv1.3',
      certificate: {
        serial: leaf.serial,
        subject: 'CN=server',
        dnsNames: ['server'],
        ipAddresses: ['127.0.0.1'],
        notAfter: leaf.notAfter,
      },
    });
    expect(verdict.cipher).toMatch(/^TLS_/);
    expect((await probeTls({ host: '127.0.0.1', port: server.port, ca: folder.root.bundlePem })).verdict).toBe('ok');
    expect((await probe(server, { maxVersion: 'TLSv1.2' })).protocol).toBe('TLSv1.2');
  });

  it('says what is wrong with a certificate, and still shows it', async () => {
    const { root } = folder;
    const expired = await issueFromRoot({
      root,
      commonName: 'server',
      ttlS: 3600,
      now: new Date(Date.now() - 20 * hour),
    });
    const early = await issueFromRoot({ root, commonName: 'server', now: new Date(Date.now() + 24 * hour) });
    for (const [certificate, verdict, options] of [
      [expired, 'expired', {}],
      [early, 'not-yet-valid', {}],
      [leaf, 'untrusted', { ca: stranger.root.bundlePem }],
      [leaf, 'name-mismatch', { servername: 'other' }],
      [leaf, 'name-mismatch', { servername: '127.0.0.2' }],
    ] as const) {
      await using server = await tlsServer(certificate);
      expect(await probe(server, options)).toMatchObject({ verdict, certificate: { serial: certificate.serial } });
      // The control: a server that is the same but for that.
      await using good = await tlsServer();
      expect((await probe(good)).verdict).toBe('ok');
    }
  });

  it.each(['TLSv1.2', 'TLSv1.3'] as const)(
    'is refused by a server that wants a client’s certificate (%s), with none or a wrong one',
    async (version) => {
      const issued = async (root: typeof folder.root) => {
        const { certificatePem: cert, privateKey: key } = await issueFromRoot({
          root,
          commonName: 'api',
          server: false,
          client: true,
        });
        return { cert, key };
      };
      await using server = await tlsServer(leaf, {
        requestCert: true,
        rejectUnauthorized: true,
        ca: folder.root.bundlePem,
        minVersion: version,
        maxVersion: version,
      });
      expect((await probe(server, { ...(await issued(folder.root)), settleMs: 5000 })).verdict).toBe('ok');
      const refusals = await Promise.all(
        [{}, await issued(stranger.root)].map(async (options) => probe(server, { ...options, settleMs: 5000 })),
      );
      expect(refusals.map(({ verdict, reason }) => `${verdict} ${reason}`)).toEqual(
        version === 'TLSv1.3'
          ? ['client-certificate ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED', 'closed ECONNRESET']
          : ['handshake-failed ERR_SSL_SSL/TLS_ALERT_HANDSHAKE_FAILURE', 'closed ECONNRESET'],
      );
    },
  );

  it('finds no common version, when only an old one is offered', async () => {
    await using server = await tlsServer(leaf, { minVersion: 'TLSv1.3' });
    expect((await probe(server, { maxVersion: 'TLSv1.2' })).verdict).toBe('handshake-failed');
    expect((await probe(server)).verdict).toBe('ok');
  });

  it.each([
    ['answers at once in plain text', (socket: Socket) => socket.write('+OK hello\r\n'), 'plaintext'],
    [
      'answers a request in plain text',
      (socket: Socket) => socket.once('data', () => socket.write('HTTP/1.1 400 Bad Request\r\n\r\n')),
      'plaintext',
    ],
    [
      'answers as AMQP does',
      (socket: Socket) => socket.once('data', () => socket.end('AMQP\0\0\x09\x01')),
      'plaintext',
    ],
    ['ends the connection', (socket: Socket) => socket.end(), 'closed'],
    ['resets the connection', (socket: Socket) => socket.once('data', () => socket.resetAndDestroy()), 'closed'],
    ['never answers', () => undefined, 'timeout'],
  ])('a server that %s', async (_name, behave, verdict) => {
    await using server = await plainServer(behave);
    expect(await probe(server, { timeoutMs: 500 })).toMatchObject({ verdict, certificate: undefined });
  });

  it('refuses roots that are none, rather than to call every server untrusted', async () => {
    await using server = await tlsServer();
    await expect(probe(server, { ca: 'nothing' })).rejects.toMatchObject({ code: 'CERTIFICATE_UNREADABLE' });
    await expect(probe(server, { port: 99_999 })).rejects.toThrow(/port/i);
  });

  it('tells a port where nothing listens from a host that is not known', async () => {
    const server = await plainServer(() => undefined);
    await server[Symbol.asyncDispose]();
    expect((await probe(server)).verdict).toBe('refused');
    expect((await probe(server, { host: 'nobody.invalid' })).verdict).toBe('unreachable');
  });
});

describe('STARTTLS', () => {
  const greeting = (capabilities: number): Buffer => {
    const body = Buffer.concat([
      Buffer.from([10]),
      Buffer.from('11.8.0-test\0'),
      Buffer.alloc(13),
      Buffer.from([capabilities & 0xff, capabilities >> 8]),
      Buffer.alloc(20),
    ]);
    return Buffer.concat([Buffer.from([body.length, 0, 0, 0]), body]);
  };

  it.each([
    ['postgres', 'N', 'plaintext'],
    ['postgres', 'SX', 'plaintext'],
    ['postgres', 'E...', 'plaintext'],
  ] as const)('%s: the answer %j is %s', async (starttls, answer, verdict) => {
    await using server = await plainServer((socket) => socket.once('data', () => socket.write(answer)));
    expect((await probe(server, { starttls })).verdict).toBe(verdict);
  });

  it.each([
    ['no TLS is offered', greeting(0xf7ff), 'plaintext'],
    ['the host may not connect', Buffer.from([0x05, 0, 0, 0, 0xff, 0x6a, 0x04, 0x48, 0x6f]), 'refused'],
    ['it is another protocol', Buffer.from([0x05, 0, 0, 0, 0x09, 0x6a, 0x04, 0x48, 0x6f]), 'plaintext'],
  ])('mysql: %s', async (_name, packet, verdict) => {
    await using server = await plainServer((socket) => {
      // In two pieces, as a network may.
      socket.write(packet.subarray(0, 5));
      setImmediate(() => socket.write(packet.subarray(5)));
    });
    expect((await probe(server, { starttls: 'mysql' })).verdict).toBe(verdict);
  });

  it('a server that ends in the middle', async () => {
    for (const starttls of ['postgres', 'mysql'] as const) {
      await using server = await plainServer((socket) => socket.end());
      expect((await probe(server, { starttls })).verdict).toBe('closed');
      await using reset = await plainServer((socket) => {
        socket.once('data', () => socket.resetAndDestroy());
        socket.write('a');
      });
      expect(['closed', 'plaintext', 'timeout']).toContain((await probe(reset, { starttls, timeoutMs: 300 })).verdict);
    }
  });
});

describe('verifyServed', () => {
  const options = (server: { port: number }, serial = leaf.serial) => ({
    host: '127.0.0.1',
    port: server.port,
    servername: 'server',
    ca: folder.root.bundlePem,
    serial,
  });

  it('waits until the certificate is presented', async () => {
    const first = await issueFromRoot({ root: folder.root, commonName: 'server' });
    const tls = createTlsServer({ cert: first.certificatePem, key: first.privateKey.reveal() });
    await using server = await listening(tls);
    await expect(verifyServed({ ...options(server), deadlineMs: 0 })).rejects.toMatchObject({
      code: 'CERTIFICATE_NOT_SERVED',
      details: { found: first.serial, serial: leaf.serial, verdict: 'ok' },
    });
    const waiting = verifyServed(options(server));
    tls.setSecureContext({ cert: leaf.certificatePem, key: leaf.privateKey.reveal() });
    expect((await waiting).certificate?.serial).toBe(leaf.serial);
  });

  it('does not wait when it is presented and not accepted, and says why', async () => {
    await using server = await tlsServer();
    const started = performance.now();
    await expect(verifyServed({ ...options(server), servername: 'other' })).rejects.toMatchObject({
      message: expect.stringContaining('it is presented, but name-mismatch') as string,
      details: { verdict: 'name-mismatch' },
    });
    expect(performance.now() - started).toBeLessThan(5000);
    await using plain = await plainServer((socket) => socket.write('+OK\r\n'));
    await expect(verifyServed({ ...options(plain), deadlineMs: 0 })).rejects.toMatchObject({
      message: expect.stringContaining('plaintext') as string,
      details: { found: null },
    });
  });
});
