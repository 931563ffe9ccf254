import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { openPgp, OpenPgpFailure, type OpenPgpJob } from './openpgp-message.ts';
import type { FromWorker, ToWorker } from './openpgp-protocol.ts';

// Below this, starting a thread (about 0.1 s) takes longer than the work.
const smallBytes = 1024 * 1024;
// How much may lie before the thread and not be taken yet: compression goes on while it starts.
const aheadBytes = { lock: 4 * 1024 * 1024, unlock: 1024 * 1024 };

// A Buffer of this size or more is no part of Node's pool, which several share.
const aloneBytes = 128 * 1024;

/** How `runOpenPgp` may treat the pieces. */
export interface RunOptions {
  /** The pieces of the source are the callee's: the memory of a large one may be handed to the thread. */
  readonly ownsInput: boolean;
  /** The consumer is done with a piece when it asks for the next one, so that its buffer can be used again. */
  readonly reusesOutput: boolean;
}

/** `openPgp`, in a thread of its own for anything large; the result is the same. */
export async function* runOpenPgp(
  job: OpenPgpJob,
  source: AsyncIterable<Uint8Array>,
  options: RunOptions,
): AsyncGenerator<Uint8Array> {
  const iterator = (options.ownsInput ? source : copied(source))[Symbol.asyncIterator]();
  const first: Uint8Array[] = [];
  let bytes = 0;
  let more = true;
  try {
    while (more && bytes <= smallBytes) {
      const next = await iterator.next();
      if (next.done === true) more = false;
      else {
        first.push(next.value);
        bytes += next.value.length;
      }
    }
    const all = joined(first, iterator, more);
    const worker = more ? workerFile() : undefined;
    yield* worker === undefined ? openPgp(job, all) : inThread(worker, job, all, options.reusesOutput);
  } finally {
    await iterator.return?.();
  }
}

// Small ones stay small: the thread copies those again.
async function* copied(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const chunk of source) yield new Uint8Array(chunk);
}

async function* joined(
  first: Uint8Array[],
  rest: AsyncIterator<Uint8Array>,
  more: boolean,
): AsyncGenerator<Uint8Array> {
  for (let next = first.shift(); next !== undefined; next = first.shift()) yield next;
  while (more) {
    const next = await rest.next();
    if (next.done === true) return;
    yield next.value;
  }
}

// Beside this file: the source, the package's dist, or an app's bundle that has it as an entry. Where it is missing all still works, slower.
function workerFile(): URL | undefined {
  const url = new URL(`./openpgp-worker${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url);
  return existsSync(fileURLToPath(url)) ? url : undefined;
}

async function* inThread(
  file: URL,
  job: OpenPgpJob,
  source: AsyncIterable<Uint8Array>,
  reusesOutput: boolean,
): AsyncGenerator<Uint8Array> {
  const outputs: Uint8Array<ArrayBuffer>[] = [];
  let [ahead, done, stopped] = [0, false, false];
  let failed: { readonly error: unknown } | undefined;
  let wake: () => void = () => undefined;
  const woken: (() => void)[] = [];
  const changed = (): void => {
    wake();
    for (const resume of woken.splice(0)) resume();
  };
  const fail = (error: unknown): void => {
    failed ??= { error };
    changed();
  };
  // Neither arguments nor environment are its business: either may hold what only this thread should know.
  const worker = new Worker(file, {
    workerData: job,
    env: {},
    argv: [],
    execArgv: [],
    name: 'openpgp',
    // Its pieces count as its heap: without a limit, tens of megabytes more of those that nobody needs pile up before they are collected.
    resourceLimits: { maxOldGenerationSizeMb: 64, maxYoungGenerationSizeMb: 3 },
  });
  worker.on('message', (message: FromWorker) => {
    if (message.kind === 'taken') ahead -= message.bytes;
    else if (message.kind === 'output') outputs.push(new Uint8Array(message.buffer, 0, message.length));
    else if (message.kind === 'done') done = true;
    else fail(message.at === undefined ? new Error(message.message) : new OpenPgpFailure(message.at, message.message));
    changed();
  });
  worker.on('error', fail);
  worker.on('exit', () => {
    if (!done) fail(new Error('The thread of the encryption ended too early.'));
  });
  const post = (message: ToWorker, transfer: ArrayBuffer[] = []): void => {
    worker.postMessage(message, transfer);
  };
  const feed = async (): Promise<void> => {
    for await (const chunk of source) {
      const bytes = chunk.length >= aloneBytes ? (chunk as Uint8Array<ArrayBuffer>) : new Uint8Array(chunk);
      ahead += bytes.length;
      post({ kind: 'input', bytes }, [bytes.buffer]);
      while (ahead > aheadBytes[job.kind] && !stopped && failed === undefined)
        await new Promise<void>((resolve) => woken.push(resolve));
      // Also ends the source, whose own clean-up is waited for.
      if (stopped || failed !== undefined) return;
    }
    post({ kind: 'end' });
  };
  const feeding = feed().catch(fail);
  try {
    for (;;) {
      const output = outputs.shift();
      if (output !== undefined) {
        yield output;
        const { buffer } = output;
        if (reusesOutput) post({ kind: 'buffer', buffer }, [buffer]);
        else post({ kind: 'buffer', buffer: undefined });
      } else if (failed !== undefined) throw failed.error;
      else if (done) break;
      else await new Promise<void>((resolve) => (wake = resolve));
    }
  } finally {
    stopped = true;
    changed();
    await worker.terminate();
    await feeding;
  }
}
