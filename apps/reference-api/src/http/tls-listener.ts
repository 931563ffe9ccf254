import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { createSecureContext } from 'node:tls';
import type { LeafCertificate } from '@devstack-core/certificates';
import type { FastifyInstance } from 'fastify';
import type { Endpoint } from '../settings.ts';
import { malformedRequest } from './problem.ts';

/** HTTPS in front of the same routes. */
export interface TlsListener {
  /** Where it listens. */
  readonly url: string;
  /** New connections get this certificate, those that are open go on. Throws where it cannot be used; the one before stays. */
  serve(leaf: LeafCertificate): void;
  /** Takes no new connections, and resolves when those that are open have ended. */
  close(): Promise<void>;
  closeAllConnections(): void;
}

/** Listens at once, so that a port that is taken is told at the start; until there is a certificate every handshake fails. */
export async function listenTls(app: FastifyInstance, endpoint: Endpoint): Promise<TlsListener> {
  const server = createServer({ minVersion: 'TLSv1.2' }, (request, response) => {
    app.routing(request, response);
  });
  // As Fastify sets them for its own server.
  server.requestTimeout = app.server.requestTimeout;
  server.keepAliveTimeout = app.server.keepAliveTimeout;
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    // A failed handshake has nobody to tell; what was no HTTP behind a good one gets an answer, as on the plain port.
    if (socket.writable && /^(?:HPE|ERR_HTTP)_/.test(error.code ?? '')) socket.end(malformedRequest());
    else socket.destroy();
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(endpoint.port, endpoint.host, () => {
      server.off('error', reject);
      resolve();
    });
  });
  const url = `https://${endpoint.host}:${String((server.address() as AddressInfo).port)}`;
  app.log.info(`Server listening at ${url}`);
  return {
    url,
    serve({ certificatePem, chainPem, privateKey }) {
      const context = {
        cert: `${certificatePem}${chainPem}`,
        key: privateKey.reveal(),
        minVersion: 'TLSv1.2',
      } as const;
      // Node takes over part of what it cannot use.
      createSecureContext(context);
      server.setSecureContext(context);
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => {
          resolve();
        });
      }),
    closeAllConnections: () => {
      server.closeAllConnections();
    },
  };
}
