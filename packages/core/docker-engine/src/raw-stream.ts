import type { Readable } from 'node:stream';
import type { Connection } from './connection.ts';
import { asReadable } from './streams.ts';

/** A GET whose answer is read as it comes: dockerode gathers the answers of some calls in memory, however long they are. */
export async function getStream(
  connection: Connection,
  path: string,
  query: Readonly<Record<string, string | number>>,
): Promise<Readable> {
  const { promise, resolve, reject } = Promise.withResolvers<Readable>();
  const request = {
    path: `${path}?`,
    method: 'GET',
    isStream: true,
    statusCodes: { 200: true, 400: 'bad parameter', 404: 'no such object', 500: 'server error' },
    options: { ...query },
  };
  dialer(connection.docker.modem).dial(request, (error, stream) => {
    if (error === null || error === undefined) resolve(asReadable(stream));
    else reject(error instanceof Error ? error : new Error('the engine refused', { cause: error }));
  });
  return promise;
}

interface Modem {
  dial(request: unknown, callback: (error: unknown, stream: unknown) => void): void;
}

function dialer(modem: unknown): Modem {
  return modem as Modem;
}
