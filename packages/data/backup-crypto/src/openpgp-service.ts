// Runs in a thread of its own (openpgp-worker.ts): it imports nothing of the workspace.
import type { MessagePort } from 'node:worker_threads';
import { openPgp, OpenPgpFailure, type OpenPgpJob } from './openpgp-message.ts';
import { outputBytes, outputCount, type FromWorker, type ToWorker } from './openpgp-protocol.ts';

/** Does one job for the other end of the port, and closes it. */
export async function serve(port: MessagePort, job: OpenPgpJob): Promise<void> {
  const inputs: Uint8Array[] = [];
  const buffers = Array.from({ length: outputCount }, () => new ArrayBuffer(outputBytes));
  const waiting: (() => void)[] = [];
  let ended = false;
  const post = (message: FromWorker, transfer: ArrayBuffer[] = []): void => {
    port.postMessage(message, transfer);
  };
  const until = async (condition: () => boolean): Promise<void> => {
    while (!condition()) await new Promise<void>((resolve) => waiting.push(resolve));
  };
  port.on('message', (message: ToWorker) => {
    if (message.kind === 'input') inputs.push(message.bytes);
    else if (message.kind === 'end') ended = true;
    else buffers.push(message.buffer ?? new ArrayBuffer(outputBytes));
    for (const resume of waiting.splice(0)) resume();
  });
  const source = async function* (): AsyncGenerator<Uint8Array> {
    for (;;) {
      await until(() => ended || inputs.length > 0);
      const next = inputs.shift();
      if (next === undefined) return;
      yield next;
      post({ kind: 'taken', bytes: next.length });
    }
  };
  try {
    let [target, filled] = [new Uint8Array(0), 0];
    const flush = (): void => {
      if (filled > 0) post({ kind: 'output', buffer: target.buffer, length: filled }, [target.buffer]);
      [target, filled] = [new Uint8Array(0), 0];
    };
    // What openpgp.js gives may be parts of one array, which cannot be handed over one by one: it is copied into buffers that come back.
    for await (const chunk of openPgp(job, source())) {
      for (let at = 0; at < chunk.length;) {
        if (target.length === 0) {
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
  } catch (error) {
    const message = error instanceof Error ? error.message : 'unknown';
    post({ kind: 'failed', at: error instanceof OpenPgpFailure ? error.at : undefined, message });
  } finally {
    port.close();
  }
}
