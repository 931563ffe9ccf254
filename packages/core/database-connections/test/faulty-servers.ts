import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/** A server that is wrong on purpose; disposing ends it. */
export interface FaultyServer extends AsyncDisposable {
  readonly port: number;
  /** Connections that are open now. */
  connections(): number;
}

/** Accepts and never answers. */
export async function halfOpenServer(): Promise<FaultyServer> {
  return serve(() => undefined);
}

/** Answers everything as another protocol's server would. */
export async function talkingServer(greeting: string, reply = greeting): Promise<FaultyServer> {
  return serve((socket) => {
    if (greeting !== '') socket.write(greeting, 'latin1');
    socket.on('data', () => {
      socket.write(reply, 'latin1');
    });
  });
}

/** Closes every connection as soon as something is sent. */
export async function hangingUpServer(): Promise<FaultyServer> {
  return serve((socket) => {
    socket.once('data', () => {
      socket.destroy();
    });
  });
}

/** A port of 127.0.0.1 that nothing listens on. */
export async function freePort(): Promise<number> {
  await using server = await halfOpenServer();
  return server.port;
}

async function serve(handle: (socket: Socket) => void): Promise<FaultyServer> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => undefined);
    // Without a reader the end of the connection would go unnoticed.
    socket.resume();
    handle(socket);
  });
  const listening = Promise.withResolvers<undefined>();
  server.listen(0, '127.0.0.1', () => {
    listening.resolve(undefined);
  });
  await listening.promise;
  return {
    port: (server.address() as AddressInfo).port,
    connections: () => sockets.size,
    [Symbol.asyncDispose]: async () => {
      const closed = Promise.withResolvers<undefined>();
      server.close(() => {
        closed.resolve(undefined);
      });
      for (const socket of sockets) socket.destroy();
      await closed.promise;
    },
  };
}
