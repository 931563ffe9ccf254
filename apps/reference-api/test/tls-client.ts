import { once } from 'node:events';
import { Agent, request, type RequestOptions } from 'node:https';
import type { IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import { TLSSocket } from 'node:tls';

/** What a client that verifies chain and name was answered, and by which certificate. */
export interface TlsAnswer {
  readonly status: number | undefined;
  readonly body: string;
  readonly serial: string;
  readonly isReused: boolean;
}

/** Clients of the service under its own name. */
export interface TlsClient extends Disposable {
  get(path: string): Promise<TlsAnswer>;
}

/** With `keepAlive` all requests, one after the other, share one connection; else each has its own, without a resumed session. */
export function tlsClient(url: string, ca: string, { keepAlive = false } = {}): TlsClient {
  const agent = new Agent({ keepAlive, maxSockets: keepAlive ? 1 : Infinity, maxCachedSessions: 0 });
  return {
    get: async (path) => {
      const outgoing = request(url + path, tlsRequest(ca, { agent }));
      outgoing.end();
      const [answer] = (await once(outgoing, 'response')) as [IncomingMessage];
      if (!(answer.socket instanceof TLSSocket)) throw new Error('not by TLS');
      const { serialNumber: serial } = answer.socket.getPeerCertificate();
      const body = await text(answer);
      return { status: answer.statusCode, body, serial, isReused: outgoing.reusedSocket };
    },
    [Symbol.dispose]: () => {
      agent.destroy();
    },
  };
}

/** The options of a request that verifies the service by its name, wherever it is reached. */
export function tlsRequest(ca: string, more: RequestOptions = {}): RequestOptions {
  return { ca, servername: 'reference-api', ...more };
}

/** Sends requests until stopped: some on connections of their own, some on one that stays open. */
export function load(url: string, ca: string): { stop(): Promise<LoadReport> } {
  const stopping = new AbortController();
  const failures: unknown[] = [];
  const serials = new Set<string>();
  let answered = 0;
  let longestLived = 0;
  const work = async (keepAlive: boolean): Promise<void> => {
    using client = tlsClient(url, ca, { keepAlive });
    let reused = 0;
    while (!stopping.signal.aborted) {
      try {
        const answer = await client.get('/openapi.json');
        if (answer.status !== 200) throw new Error(`answered ${String(answer.status)}`);
        answered += 1;
        if (!keepAlive) serials.add(answer.serial);
        reused = answer.isReused ? reused + 1 : 0;
        longestLived = Math.max(longestLived, reused);
      } catch (error) {
        failures.push(error);
        // Whoever is refused at once must not do nothing else.
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
  };
  const workers = [false, false, false, false, true, true].map(work);
  return {
    stop: async () => {
      stopping.abort();
      await Promise.all(workers);
      return { answered, failures, serials: serials.size, longestLived };
    },
  };
}

/** What came of it. */
export interface LoadReport {
  readonly answered: number;
  readonly failures: readonly unknown[];
  /** How many certificates were seen. */
  readonly serials: number;
  /** The most requests on one connection. */
  readonly longestLived: number;
}
