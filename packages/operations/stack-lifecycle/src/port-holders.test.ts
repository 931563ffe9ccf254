import { createServer, type Server } from 'node:net';
import { basename } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { findPortHolders } from './port-holders.ts';

let server: Server | undefined;

afterEach(() => {
  server?.close();
});

async function listen(): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>();
  server = createServer();
  server.listen(0, '127.0.0.1', () => {
    const address = server?.address();
    resolve(typeof address === 'object' && address !== null ? address.port : 0);
  });
  return promise;
}

test('a taken port is named with the process that holds it, a free one is not', async () => {
  const port = await listen();
  const [holder, ...others] = await findPortHolders([port]);
  expect(others).toEqual([]);
  expect(holder).toEqual({ port, pid: process.pid, program: basename(process.execPath) });
  server?.close();
  await new Promise((resolve) => server?.on('close', resolve));
  expect(await findPortHolders([port])).toEqual([]);
});
