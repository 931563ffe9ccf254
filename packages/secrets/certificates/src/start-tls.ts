import type { Socket } from 'node:net';

/** Protocols that begin in plain text and are asked to change to TLS; all others are TLS from the first byte. */
export type StartTls = 'postgres' | 'mysql';

/** What a server said before TLS. */
export type Preamble = { readonly kind: 'go-on' } | { readonly kind: 'plaintext' | 'refused'; readonly reason: string };

/** Asks for TLS on a fresh connection. Rejects when the connection ends first. */
export function startTls(socket: Socket, protocol: StartTls): Promise<Preamble> {
  return protocol === 'postgres' ? askPostgres(socket) : askMysql(socket);
}

/** SSLRequest (PostgreSQL, "Message Formats"): length 8, code 80877103; the answer is one byte. */
async function askPostgres(socket: Socket): Promise<Preamble> {
  const request = Buffer.alloc(8);
  request.writeUInt32BE(8, 0);
  request.writeUInt32BE(80_877_103, 4);
  socket.write(request);
  const answer = await readAtLeast(socket, 1);
  // Bytes after the answer would be taken for decrypted ones later (CVE-2021-23222): nobody may have put them there.
  if (answer.length === 1 && answer[0] === 0x53) return { kind: 'go-on' };
  if (answer[0] === 0x4e) return { kind: 'plaintext', reason: 'the server offers no TLS' };
  return { kind: 'plaintext', reason: 'the server did not answer a request for TLS as PostgreSQL does' };
}

const clientSsl = 0x0800;

/** The greeting tells whether TLS is offered; SSLRequest (MySQL, "Connection Phase Packets") is the short login packet with that flag. */
async function askMysql(socket: Socket): Promise<Preamble> {
  const head = await readAtLeast(socket, 4);
  const length = head.readUIntLE(0, 3);
  const packet =
    head.length >= length + 4 ? head : Buffer.concat([head, await readAtLeast(socket, length + 4 - head.length)]);
  const body = packet.subarray(4, 4 + length);
  if (body[0] === 0xff)
    return { kind: 'refused', reason: `the server refuses connections (${String(body.readUInt16LE(1))})` };
  const afterVersion = body.indexOf(0, 1) + 1;
  if (body[0] !== 10 || afterVersion === 0 || body.length < afterVersion + 15)
    return { kind: 'plaintext', reason: 'the server does not greet as MySQL does' };
  const capabilities = body.readUInt16LE(afterVersion + 13);
  if ((capabilities & clientSsl) === 0) return { kind: 'plaintext', reason: 'the server offers no TLS' };
  const request = Buffer.alloc(36);
  request.writeUIntLE(32, 0, 3);
  request[3] = (packet[3] ?? 0) + 1;
  // CLIENT_LONG_PASSWORD, CLIENT_PROTOCOL_41, CLIENT_SSL, CLIENT_TRANSACTIONS, CLIENT_SECURE_CONNECTION, CLIENT_PLUGIN_AUTH.
  request.writeUInt32LE(0x1 | 0x200 | clientSsl | 0x2000 | 0x8000 | 0x8_0000, 4);
  request.writeUInt32LE(0x100_0000, 8);
  request[12] = 45;
  socket.write(request);
  return { kind: 'go-on' };
}

function readAtLeast(socket: Socket, sizeBytes: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    const settle = (work: () => void): void => {
      socket.off('data', onData).off('end', onEnd).off('error', onError).off('close', onEnd);
      socket.pause();
      work();
    };
    const onData = (chunk: Buffer): void => {
      chunks.push(chunk);
      const all = Buffer.concat(chunks);
      if (all.length >= sizeBytes)
        settle(() => {
          resolve(all);
        });
    };
    const onEnd = (): void => {
      settle(() => {
        reject(Object.assign(new Error('The connection ended.'), { code: 'ECONNRESET' }));
      });
    };
    const onError = (error: Error): void => {
      settle(() => {
        reject(error);
      });
    };
    socket.on('data', onData).on('end', onEnd).on('error', onError).on('close', onEnd);
    socket.resume();
  });
}
