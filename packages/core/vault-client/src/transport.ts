import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import type nodeVault from 'node-vault';

/** One HTTP exchange as node-vault describes it, with the additions of ours that it passes through. */
export interface WireRequest {
  readonly method: string;
  /** Starts with a slash, without the `/v1`. */
  readonly path: string;
  readonly json?: unknown;
  /** A raw body, for snapshots. */
  readonly body?: Uint8Array;
  /** Gives the answer's bytes back unparsed. */
  readonly binary?: boolean;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

/** What came back, whatever the status. */
export interface WireAnswer {
  readonly status: number;
  readonly body: unknown;
  /** True where the body should have been JSON and was not. */
  readonly malformed: boolean;
}

/** Why no answer came: Node's error code, `TIMEOUT`, `ABORTED` or `TRUNCATED`; never the request. */
export class WireFailure extends Error {
  readonly reason: string;
  /** True when Vault cannot have seen the request. */
  readonly unsent: boolean;

  constructor(reason: string, unsent: boolean) {
    super(reason);
    this.reason = reason;
    this.unsent = unsent;
  }
}

export interface TransportOptions {
  readonly origin: string;
  readonly ca?: string | (() => string) | undefined;
  readonly namespace?: string | undefined;
  readonly userAgent: string;
}

/** The door to node-vault, shared by all clients of one address: one pool of kept-alive connections. */
export interface Transport {
  send(request: WireRequest, token: string | undefined): Promise<WireAnswer>;
  close(): void;
}

const unsentCodes = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'ENETDOWN']);

/**
 * node-vault builds the requests and reads the answers, but neither its logging nor its HTTP library is used: with `DEBUG=*` the first
 * prints bodies and the second prints headers, the token among them. Its documented `debug` and `request-promise` options replace both.
 */
export function createTransport(options: TransportOptions): Transport {
  const secure = options.origin.startsWith('https:');
  const { ca } = options;
  // The agent keeps connections apart by what they trust, so none that was made under another root is used again.
  const trust = typeof ca === 'function' ? ca : () => ca;
  const agent = new (secure ? HttpsAgent : HttpAgent)({ keepAlive: true, maxSockets: 32 });
  // node-vault takes 70 ms to load: only a process that talks to Vault pays for it.
  let loading: Promise<typeof nodeVault> | undefined;

  return {
    async send(request, token) {
      loading ??= import('node-vault').then((module) => module.default);
      const create = await loading.catch(() => {
        throw new WireFailure('NODE_VAULT_MISSING', true);
      });
      let answer: WireAnswer | undefined;
      const vault = create({
        endpoint: options.origin,
        apiVersion: 'v1',
        commands: {},
        debug: () => undefined,
        'request-promise': {
          defaults: () => async (wire: HttpOptions) => {
            const ca = secure ? trust() : undefined;
            answer = await exchange(wire, { secure, agent, ca, userAgent: options.userAgent });
            return { statusCode: answer.status, body: answer.body, request: { path: wire.path } };
          },
        },
      });
      // node-vault falls back to VAULT_TOKEN, VAULT_NAMESPACE and VAULT_PREFIX of the environment: a library has none.
      Object.assign(vault, { token, namespace: options.namespace, pathPrefix: '' });
      try {
        await vault.request({ ...request });
      } catch (error) {
        // A status other than 200 and 204 is an exception to node-vault and an answer to us.
        if (answer === undefined) throw error instanceof WireFailure ? error : new WireFailure('TRANSPORT', true);
      }
      return answer ?? { status: 0, body: undefined, malformed: true };
    },
    close: () => {
      agent.destroy();
    },
  };
}

interface HttpOptions extends WireRequest {
  readonly uri: string;
  readonly headers: Record<string, string>;
}

interface ExchangeOptions {
  readonly secure: boolean;
  readonly agent: HttpAgent | HttpsAgent;
  readonly ca: string | undefined;
  readonly userAgent: string;
}

function exchange(wire: HttpOptions, { secure, agent, ca, userAgent }: ExchangeOptions): Promise<WireAnswer> {
  return new Promise((resolve, reject) => {
    const payload = wire.body ?? (wire.json === undefined ? undefined : Buffer.from(JSON.stringify(wire.json)));
    let connected = false;
    let settled = false;
    const fail = (reason: string, unsent = false): void => {
      if (settled) return;
      settled = true;
      clearTimeout(timer);
      wire.signal?.removeEventListener('abort', onAbort);
      reject(new WireFailure(reason, unsent));
      outgoing.destroy();
    };
    const onAbort = (): void => {
      fail('ABORTED');
    };
    // Headers are not among the options: Node prints those when NODE_DEBUG asks for `net`.
    const options = { method: wire.method, agent, ...(ca === undefined ? {} : { ca }) };
    const outgoing = (secure ? httpsRequest : httpRequest)(wire.uri, options);
    for (const [name, value] of Object.entries(wire.headers)) outgoing.setHeader(name, value);
    outgoing.setHeader('user-agent', userAgent);
    outgoing.setHeader('x-vault-request', 'true');
    if (payload !== undefined) {
      outgoing.setHeader('content-type', wire.body === undefined ? 'application/json' : 'application/octet-stream');
      outgoing.setHeader('content-length', String(payload.byteLength));
    }
    const timer = setTimeout(() => {
      fail('TIMEOUT', !connected);
    }, wire.timeoutMs);
    wire.signal?.addEventListener('abort', onAbort, { once: true });
    outgoing.on('socket', (socket) => {
      if (outgoing.reusedSocket || !socket.connecting) connected = true;
      else socket.once(secure ? 'secureConnect' : 'connect', () => (connected = true));
    });
    outgoing.on('error', (error: NodeJS.ErrnoException) => {
      const reason = error.code ?? 'CONNECTION_FAILED';
      fail(reason, unsentCodes.has(reason) || !connected);
    });
    outgoing.on('response', (incoming) => {
      collect(incoming).then(
        (bytes) => {
          if (settled) return;
          settled = true;
          clearTimeout(timer);
          wire.signal?.removeEventListener('abort', onAbort);
          resolve(parse(incoming.statusCode ?? 0, bytes, wire.binary === true));
        },
        () => {
          fail('TRUNCATED');
        },
      );
    });
    if (wire.signal?.aborted === true) onAbort();
    else outgoing.end(payload);
  });
}

async function collect(incoming: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

function parse(status: number, bytes: Buffer, binary: boolean): WireAnswer {
  if (binary && status === 200) return { status, body: new Uint8Array(bytes), malformed: false };
  if (bytes.byteLength === 0) return { status, body: undefined, malformed: false };
  try {
    return { status, body: JSON.parse(bytes.toString('utf8')) as unknown, malformed: false };
  } catch {
    return { status, body: undefined, malformed: true };
  }
}
