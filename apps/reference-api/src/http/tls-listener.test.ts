import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { text } from 'node:stream/consumers';
import { createRoot, issueFromRoot, type LeafCertificate, type RootAuthority } from '@devstack-core/certificates';
import { Secret } from '@devstack-core/redaction';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fakeApp } from '../../test/fakes.ts';
import { tlsClient } from '../../test/tls-client.ts';
import { listenTls, type TlsListener } from './tls-listener.ts';

let directory: string;
let root: RootAuthority;
let leaf: LeafCertificate;
let other: LeafCertificate;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'reference-api-tls-'));
  root = await createRoot({ directory, passphrase: new Secret('of a test') });
  leaf = await issueFromRoot({ root, commonName: 'reference-api', dnsNames: ['reference-api'] });
  other = await issueFromRoot({ root, commonName: 'reference-api', dnsNames: ['reference-api'] });
});
afterAll(async () => rm(directory, { recursive: true, force: true }));

async function listening(): Promise<TlsListener & AsyncDisposable> {
  const { app } = await fakeApp();
  const listener = await listenTls(app, { host: '127.0.0.1', port: 0 });
  return {
    ...listener,
    [Symbol.asyncDispose]: async () => {
      const closed = listener.close();
      listener.closeAllConnections();
      await closed;
      await app.close();
    },
  };
}

describe('the listener for HTTPS', () => {
  it('takes no connection before it has a certificate', async () => {
    await using listener = await listening();
    using client = tlsClient(listener.url, root.bundlePem);
    await expect(client.get('/health')).rejects.toThrow();
    listener.serve(leaf);
    expect(await client.get('/health')).toMatchObject({ status: 200, serial: leaf.serial });
  });

  it('changes its certificate under a connection that goes on', async () => {
    await using listener = await listening();
    listener.serve(leaf);
    using open = tlsClient(listener.url, root.bundlePem, { keepAlive: true });
    using fresh = tlsClient(listener.url, root.bundlePem);
    await open.get('/ready');
    listener.serve(other);
    expect(await open.get('/ready')).toMatchObject({ status: 200, serial: leaf.serial, isReused: true });
    expect(await fresh.get('/ready')).toMatchObject({ status: 200, serial: other.serial, isReused: false });
  });

  it('keeps the certificate before one that it cannot use', async () => {
    await using listener = await listening();
    listener.serve(leaf);
    expect(() => {
      listener.serve({ ...other, privateKey: leaf.privateKey });
    }).toThrow();
    using client = tlsClient(listener.url, root.bundlePem);
    expect((await client.get('/ready')).serial).toBe(leaf.serial);
  });

  it('answers what is no HTTP as the plain port does, and plain HTTP not at all', async () => {
    await using listener = await listening();
    listener.serve(leaf);
    const port = Number(new URL(listener.url).port);
    const socket = connect({ host: '127.0.0.1', port, ca: root.bundlePem, servername: 'reference-api' });
    socket.write('no request\r\n\r\n');
    expect(await text(socket)).toMatch(/^HTTP\/1\.1 400 [\s\S]*application\/problem\+json/);
    await expect(fetch(listener.url.replace('https', 'http'))).rejects.toThrow();
  });

  it('says at once that its port is taken', async () => {
    await using listener = await listening();
    const { app } = await fakeApp();
    await expect(listenTls(app, { host: '127.0.0.1', port: Number(new URL(listener.url).port) })).rejects.toMatchObject(
      { code: 'EADDRINUSE' },
    );
  });
});
