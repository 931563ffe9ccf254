import { connect } from 'node:net';
import type { Check } from '../check.ts';

/** Any TCP server: it accepts a connection. Proves no more than that. */
export const tcp: Check = {
  describe: () => 'a TCP connection',
  run: async ({ host, port, signal }) => {
    const connected = Promise.withResolvers<undefined>();
    const socket = connect({ host, port, signal });
    socket.on('connect', () => {
      connected.resolve(undefined);
    });
    socket.on('error', connected.reject);
    try {
      await connected.promise;
    } finally {
      socket.destroy();
    }
    return {};
  },
};
