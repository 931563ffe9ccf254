import { setTimeout as sleep } from 'node:timers/promises';
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { describe, expect, it, vi } from 'vitest';
import { collect, noise, pieces } from '../test/streams.ts';
import { openPgp, type OpenPgpJob } from './openpgp-message.ts';
import type { FromWorker } from './openpgp-protocol.ts';
import { serve } from './openpgp-service.ts';
import { runOpenPgp } from './openpgp-thread.ts';
import { StallWatch } from './stall-watch.ts';

const lock: OpenPgpJob = { kind: 'lock', passphrases: ['p'], recipients: [] };
const unlock: OpenPgpJob = { kind: 'unlock', passphrase: 'p' };

/** The other end of `serve`, in this thread: gives all the output, or throws what failed. */
async function ask(port: MessagePort, input: Buffer, returnsBuffers: boolean): Promise<Buffer> {
  const outputs: Buffer[] = [];
  const ended = new Promise<void>((resolve, reject) => {
    port.on('message', (message: FromWorker) => {
      if (message.kind === 'output') {
        outputs.push(Buffer.from(Buffer.from(message.buffer, 0, message.length)));
        if (returnsBuffers) port.postMessage({ kind: 'buffer', buffer: message.buffer }, [message.buffer]);
        else port.postMessage({ kind: 'buffer', buffer: undefined });
      } else if (message.kind === 'done') resolve();
      else if (message.kind === 'failed') reject(new Error(`${String(message.at)}: ${message.message}`));
    });
  });
  for (let at = 0; at < input.length; at += 300_000)
    port.postMessage({ kind: 'input', bytes: new Uint8Array(input.subarray(at, at + 300_000)) });
  port.postMessage({ kind: 'end' });
  await ended;
  return Buffer.concat(outputs);
}

const inService = async (job: OpenPgpJob, input: Buffer, returnsBuffers: boolean): Promise<Buffer> => {
  const { port1, port2 } = new MessageChannel();
  const [output] = await Promise.all([ask(port1, input, returnsBuffers), serve(port2, job)]);
  return output;
};

describe('the thread', () => {
  it('does what this thread does', async () => {
    const content = noise(4_000_000);
    const locked = await inService(lock, content, true);
    expect((await inService(unlock, locked, false)).equals(content)).toBe(true);
    expect((await collect(openPgp(unlock, pieces(locked)))).equals(content)).toBe(true);
  });

  it('says what failed', async () => {
    await expect(
      inService({ kind: 'unlock', passphrase: 'wrong' }, await inService(lock, noise(9), true), true),
    ).rejects.toThrow(/^(session-key|before-content): /);
    await expect(inService({ ...lock, recipients: ['none'] }, noise(9), true)).rejects.toThrow(/^recipient: /);
  });

  it('is told of a wrong passphrase for a large stream', async () => {
    const large = await collect(openPgp(lock, pieces(noise(5_000_000))));
    const options = { ownsInput: false, reusesOutput: false };
    const wrong = runOpenPgp({ kind: 'unlock', passphrase: 'wrong' }, pieces(large), options);
    await expect(collect(wrong)).rejects.toMatchObject({ message: expect.any(String) as string });
    const right = runOpenPgp(unlock, pieces(large), options);
    expect((await collect(right)).equals(noise(5_000_000))).toBe(true);
  });

  it('may be fed from one buffer that is used again and again', async () => {
    const one = Buffer.alloc(100_000);
    const reusing = async function* (): AsyncGenerator<Uint8Array> {
      for (let index = 0; index < 40; index += 1) {
        await Promise.resolve();
        yield one.fill(index);
      }
    };
    const locked = await collect(runOpenPgp(lock, reusing(), { ownsInput: false, reusesOutput: true }));
    const content = await collect(openPgp(unlock, pieces(locked)));
    expect(content.equals(Buffer.concat(Array.from({ length: 40 }, (_, index) => Buffer.alloc(100_000, index))))).toBe(
      true,
    );
  });
});

describe('work that stops without a word', () => {
  it('is given up after a while, but not while it waits for input, nor when it only takes long', async () => {
    vi.useFakeTimers();
    try {
      let isWaiting = true;
      const watch = new StallWatch(
        () => isWaiting,
        () => new Error('stalled'),
      );
      const seen: unknown[] = [];
      watch.wait(new Promise(() => undefined)).catch((error: unknown) => seen.push(error));
      await vi.advanceTimersByTimeAsync(60_000);
      expect(seen).toEqual([]);
      isWaiting = false;
      await vi.advanceTimersByTimeAsync(2900);
      expect(seen).toEqual([]);
      await vi.advanceTimersByTimeAsync(200);
      expect(seen).toEqual([new Error('stalled')]);
      await expect(watch.wait(Promise.resolve(7))).resolves.toBe(7);
      watch.stop();
      expect(vi.getTimerCount()).toBe(0);
    } finally {
      vi.useRealTimers();
    }
    await sleep(0);
  });
});
