// The thread in which openpgp.js works through large streams, so that encryption and hashing, compression and the disk use two cores.
import { parentPort, workerData, type MessagePort } from 'node:worker_threads';
import { openPgp, OpenPgpFailure, type OpenPgpJob } from './openpgp-message.ts';
import { outputBytes, outputCount, type FromWorker, type ToWorker } from './openpgp-protocol.ts';

const port = ((): MessagePort => {
  if (parentPort === null) throw new Error('This file is a thread, not a program.');
  return parentPort;
})();
const inputs: Uint8Array[] = [];
const buffers: ArrayBuffer[] = Array.from({ length: outputCount }, () => new ArrayBuffer(outputBytes));
let ended = false;
const waiting: (() => void)[] = [];

const post = (message: FromWorker, transfer: ArrayBuffer[] = []): void => {
  port.postMessage(message, transfer);
};

port.on('message', (message: ToWorker) => {
  if (message.kind === 'input') inputs.push(message.bytes);
  else if (message.kind === 'end') ended = true;
  else buffers.push(message.buffer ?? new ArrayBuffer(outputBytes));
  for (const resume of waiting.splice(0)) resume();
});

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise<void>((resolve) => waiting.push(resolve));
}

async function* source(): AsyncGenerator<Uint8Array> {
  for (;;) {
    await until(() => ended || inputs.length > 0);
    const next = inputs.shift();
    if (next === undefined) return;
    yield next;
    post({ kind: 'taken', bytes: next.length });
  }
}

// What openpgp.js gives may be parts of one array, which cannot be handed over one by one: it is copied into buffers that come back.
async function run(): Promise<void> {
  let filled = 0;
  let target: Uint8Array | undefined;
  const flush = (): void => {
    if (target === undefined || filled === 0) return;
    const { buffer } = target;
    post({ kind: 'output', buffer: buffer as ArrayBuffer, length: filled }, [buffer as ArrayBuffer]);
    target = undefined;
    filled = 0;
  };
  for await (const chunk of openPgp(workerData as OpenPgpJob, source())) {
    for (let at = 0; at < chunk.length;) {
      if (target === undefined) {
        await until(() => buffers.length > 0);
        target = new Uint8Array(buffers.pop() ?? new ArrayBuffer(outputBytes));
      }
      const part = chunk.subarray(at, at + target.length - filled);
      target.set(part, filled);
      filled += part.length;
      at += part.length;
      if (filled === target.length) flush();
    }
  }
  flush();
  post({ kind: 'done' });
}

run()
  .catch((error: unknown) => {
    const message = error instanceof Error ? error.message : 'unknown';
    post({ kind: 'failed', at: error instanceof OpenPgpFailure ? error.at : undefined, message });
  })
  .finally(() => {
    port.close();
  });
