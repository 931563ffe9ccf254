import { connect } from 'node:net';
import { plaintextTalks, type PlaintextProtocol } from './plaintext-talk.ts';
import { failureOf } from './tls-verdicts.ts';

export interface ProbePlaintextOptions {
  readonly host: string;
  readonly port: number;
  readonly protocol: PlaintextProtocol;
  /** Default 5,000. */
  readonly timeoutMs?: number;
}

/**
 * `accepted`: whoever listens on the way could read what a client says. `refused`: it says no, speaks TLS alone, or ends the connection.
 * `unreachable`: nothing listens, so nothing is proven. `silent`: it did not answer in time, which proves nothing either.
 */
export interface PlaintextVerdict {
  readonly verdict: 'accepted' | 'refused' | 'unreachable' | 'silent';
  readonly reason: string;
}

/**
 * Begins to talk as a client without TLS would, with a name that no server has and no password, and says whether the server goes on: a server with
 * TLS that still does can be talked down. Never throws for what a server does.
 */
export function probePlaintext(options: ProbePlaintextOptions): Promise<PlaintextVerdict> {
  const talk = plaintextTalks[options.protocol];
  const { promise, resolve } = Promise.withResolvers<PlaintextVerdict>();
  const socket = connect({ host: options.host, port: options.port });
  const timer = setTimeout(() => {
    resolve({ verdict: 'silent', reason: 'no answer in time' });
  }, options.timeoutMs ?? 5000);
  let bytes = Buffer.alloc(0);
  let hasReplied = false;
  let isConnected = false;
  socket.on('connect', () => {
    isConnected = true;
    if (talk.opening !== undefined) socket.write(talk.opening);
  });
  socket.on('data', (chunk) => {
    bytes = Buffer.concat([bytes, chunk]);
    // An alert of TLS (RFC 8446, 5.1): content type 21, major version 3.
    if (bytes[0] === 21 && bytes[1] === 3) {
      resolve({ verdict: 'refused', reason: 'it answers with an alert of TLS' });
      return;
    }
    const answer = talk.judge(bytes, hasReplied);
    if (answer?.kind === 'reply') {
      hasReplied = true;
      socket.write(answer.bytes);
    } else if (answer !== undefined) resolve({ verdict: answer.kind, reason: answer.reason });
  });
  socket.on('error', (error) => {
    const { reason } = failureOf(error);
    resolve(isConnected ? { verdict: 'refused', reason } : { verdict: 'unreachable', reason });
  });
  socket.on('close', () => {
    // Words that could not be judged to their end are words in plain text.
    resolve(
      bytes.length > 0
        ? { verdict: 'accepted', reason: 'it answers in plain text' }
        : { verdict: 'refused', reason: 'it ended the connection' },
    );
  });
  return promise.finally(() => {
    clearTimeout(timer);
    socket.destroy();
  });
}
