// A TLS server as any: it reads its files when it starts and on SIGHUP, and serves what it read. With a file `deaf` in the folder it keeps what it
// has, as a server that cannot read the new files would.
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:tls';

const [directory = ''] = process.argv.slice(2);
const files = (): { cert: string; key: string; ca: string } => ({
  cert: readFileSync(`${directory}/current/tls.crt`, 'utf8'),
  key: readFileSync(`${directory}/current/tls.key`, 'utf8'),
  ca: readFileSync(`${directory}/current/ca.crt`, 'utf8'),
});
const server = createServer(files(), (socket) => {
  socket.on('error', () => undefined);
  socket.end('served\n');
});
server.on('tlsClientError', () => undefined);
process.on('SIGHUP', () => {
  if (!existsSync(`${directory}/deaf`)) server.setSecureContext(files());
  process.stdout.write('reloaded\n');
});
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  process.stdout.write(`listening ${String(typeof address === 'object' ? address?.port : '')}\n`);
});
