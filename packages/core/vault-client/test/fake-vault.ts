import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface FakeRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
  readonly body: unknown;
}

export interface FakeAnswer {
  readonly status?: number;
  readonly json?: unknown;
  readonly text?: string;
  readonly delayMs?: number;
  /** Ends the connection instead of answering, or in the middle of the answer. */
  readonly cut?: 'before' | 'within';
}

export interface FakeVault extends AsyncDisposable {
  readonly address: string;
  readonly requests: FakeRequest[];
  readonly connections: () => number;
}

/** A server that answers as it is told, for what a real Vault cannot be brought to do. */
export async function fakeVault(
  answer: (request: FakeRequest, count: number) => FakeAnswer,
  port = 0,
): Promise<FakeVault> {
  const requests: FakeRequest[] = [];
  let connections = 0;
  const server: Server = createServer((incoming, outgoing) => {
    void respond(incoming, outgoing);
  });
  server.on('connection', () => connections++);
  const respond = async (incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> => {
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(chunk as Buffer);
    const text = Buffer.concat(chunks).toString('utf8');
    const request: FakeRequest = {
      method: incoming.method ?? '',
      url: incoming.url ?? '',
      headers: incoming.headers,
      text,
      body: parse(text),
    };
    requests.push(request);
    const { status = 200, json, text: plain, delayMs = 0, cut } = answer(request, requests.length);
    if (delayMs > 0) await new Promise((resolve) => setTimeout(resolve, delayMs));
    if (cut === 'before') return void incoming.socket.destroy();
    const content = plain ?? (json === undefined ? '' : JSON.stringify(json));
    outgoing.writeHead(status, { 'content-length': String(Buffer.byteLength(content) + (cut === 'within' ? 100 : 0)) });
    outgoing.write(content);
    if (cut === 'within') setTimeout(() => incoming.socket.destroy(), 10);
    else outgoing.end();
  };
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  return {
    address: `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`,
    requests,
    connections: () => connections,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
