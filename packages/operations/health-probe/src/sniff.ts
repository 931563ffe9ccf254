import { connect } from 'node:net';

const limitMs = 400;

/**
 * What really listens on a port, told by its first bytes: waits for a greeting, then asks as an HTTP client would, which every
 * server of the stack refuses in its own way. Undefined where nothing accepts.
 */
export async function sniff(host: string, port: number): Promise<string | undefined> {
  const answer = Promise.withResolvers<string | undefined>();
  const socket = connect({ host, port });
  const ask = setTimeout(() => {
    socket.write('GET / HTTP/1.0\r\n\r\n');
  }, limitMs / 4);
  const giveUp = setTimeout(() => {
    answer.resolve('something that accepts connections and never answers');
  }, limitMs);
  socket.on('data', (bytes) => {
    answer.resolve(nameOf(bytes));
  });
  socket.on('end', () => {
    answer.resolve('something that ends the connection without a word');
  });
  socket.on('error', (error: NodeJS.ErrnoException) => {
    answer.resolve(error.code === 'ECONNRESET' ? 'something that ends the connection without a word' : undefined);
  });
  try {
    return await answer.promise;
  } finally {
    clearTimeout(ask);
    clearTimeout(giveUp);
    socket.destroy();
  }
}

/** The names of protocols by how their servers begin. */
const beginnings: readonly (readonly [pattern: RegExp, name: string | ((match: RegExpExecArray) => string)])[] = [
  [/^HTTP\/\d\.\d (\d{3})/, (match) => `an HTTP server (status ${match[1] ?? ''})`],
  [/^AMQP/, 'an AMQP broker'],
  [/^[-+]\w/, 'a Redis server'],
  [/^SSH-/, 'an SSH server'],
  [/^220[ -]/, 'a mail or FTP server'],
  [/^[\s\S]{3}\0\x0a([\x20-\x7e]{3,60})\0/, (match) => `a MySQL server (${match[1] ?? ''})`],
  [/^[\s\S]{3}\0\xff/, 'a MySQL server'],
  [/^E\0\0/, 'a PostgreSQL server'],
  [/^\x15\x03/, 'a TLS server'],
];

function nameOf(bytes: Buffer): string {
  const text = bytes.toString('latin1');
  for (const [pattern, name] of beginnings) {
    const match = pattern.exec(text);
    if (match !== null) return typeof name === 'string' ? name : name(match);
  }
  return `something unknown (its first bytes: ${bytes.subarray(0, 8).toString('hex')})`;
}
