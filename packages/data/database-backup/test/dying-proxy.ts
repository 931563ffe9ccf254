import { createServer, connect, type AddressInfo, type Socket } from 'node:net';
import { once } from 'node:events';

/** A way to a server of the MongoDB protocol that ends for good after so many messages of the client. */
export interface DyingProxy extends AsyncDisposable {
  readonly host: '127.0.0.1';
  readonly port: number;
  isDead(): boolean;
  /** Resolves when it ends: whoever was behind it is not waited for, as nobody waits for a process that was killed. */
  readonly death: Promise<'dead'>;
}

export async function dyingProxy(
  target: { readonly host: string; readonly port: number },
  afterMessages: number,
): Promise<DyingProxy> {
  const sockets = new Set<Socket>();
  let messages = 0;
  let isDead = false;
  const death = Promise.withResolvers<'dead'>();
  const die = (): void => {
    isDead = true;
    death.resolve('dead');
    for (const socket of sockets) socket.destroy();
  };
  const server = createServer((client) => {
    const upstream = connect(target);
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        client.destroy();
        upstream.destroy();
      });
    }
    if (isDead) client.destroy();
    upstream.pipe(client);
    let left = Buffer.alloc(0);
    client.on('data', (chunk: Buffer) => {
      left = Buffer.concat([left, chunk]);
      // A message begins with its length.
      while (left.length >= 4 && left.length >= left.readInt32LE()) {
        const message = left.subarray(0, left.readInt32LE());
        left = left.subarray(message.length);
        // The monitor of the driver asks in its own time.
        if (!message.includes('hello\0') && !message.includes('isMaster\0') && !message.includes('ismaster\0'))
          messages += 1;
        if (messages > afterMessages) {
          die();
          return;
        }
        upstream.write(message);
      }
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    host: '127.0.0.1',
    port: (server.address() as AddressInfo).port,
    isDead: () => isDead,
    death: death.promise,
    [Symbol.asyncDispose]: async () => {
      die();
      server.close();
      await once(server, 'close');
    },
  };
}
