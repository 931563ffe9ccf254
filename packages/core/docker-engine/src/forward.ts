import { createServer, type AddressInfo, type Socket } from 'node:net';
import { once } from 'node:events';
import type { Connection } from './connection.ts';
import { drained, execStream } from './exec-stream.ts';

/** A port of this machine that leads into a container. */
export interface Forward extends AsyncDisposable {
  /** Always a loopback address. */
  readonly host: '127.0.0.1';
  readonly port: number;
  close(): Promise<void>;
}

export interface ForwardOptions {
  /** Runs in the container with the port as its last argument: connects there and passes bytes both ways. Node unless given. */
  readonly relay?: readonly [string, ...string[]];
  readonly user?: string;
}

const nodeRelay = `const s=require('net').connect(Number(process.argv[1]),'127.0.0.1').setNoDelay();process.stdin.pipe(s);s.pipe(process.stdout);s.on('error',e=>{console.error(e.message);process.exit(1)})`;

/**
 * Opens a port on this machine's loopback that leads to a port of a container's own loopback, one exec for each connection: for containers
 * that have no network, and for engines that are elsewhere. Whoever is on this machine can use it while it is open.
 */
export async function forward(
  connection: Connection,
  id: string,
  port: number,
  options: ForwardOptions,
): Promise<Forward> {
  const [program, ...args] = options.relay ?? ['node', '-e', nodeRelay];
  const sockets = new Set<Socket>();
  const lead = async (socket: Socket): Promise<void> => {
    const running = await execStream(connection, id, [program, ...args, String(port)], {
      stdin: socket as AsyncIterable<Uint8Array>,
      ...(options.user === undefined ? {} : { user: options.user }),
    });
    for await (const chunk of running.stdout) {
      if (socket.destroyed) return;
      if (!socket.write(chunk)) await drained(socket);
    }
  };
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.setNoDelay(true);
    socket.once('close', () => sockets.delete(socket));
    socket.on('error', () => socket.destroy());
    lead(socket).then(
      () => socket.end(),
      () => socket.destroy(),
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const close = async (): Promise<void> => {
    const closed = once(server, 'close');
    server.close();
    for (const socket of sockets) socket.destroy();
    await closed;
  };
  return { host: '127.0.0.1', port: (server.address() as AddressInfo).port, close, [Symbol.asyncDispose]: close };
}
