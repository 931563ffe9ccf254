// Also runs in a thread of its own (openpgp-worker.ts): it imports nothing of the workspace.
import { randomBytes } from 'node:crypto';
import type { PublicKey } from 'openpgp';
import { StallWatch } from './stall-watch.ts';

/** What is to be done, as plain data that can be posted to a thread. */
export type OpenPgpJob =
  | { readonly kind: 'lock'; readonly passphrases: readonly string[]; readonly recipients: readonly string[] }
  | { readonly kind: 'unlock'; readonly passphrase: string };

/** At which point the message could not be opened; `before-content` means that nothing of it made sense. */
export type FailedAt = 'session-key' | 'before-content' | 'content' | 'recipient';

/** Why openpgp.js gave up. */
export class OpenPgpFailure extends Error {
  readonly at: FailedAt;

  constructor(at: FailedAt, message: string) {
    super(message);
    this.at = at;
  }
}

// Larger pieces are cheaper for each call, and smaller ones for the memory.
const pieceBytes = 128 * 1024;

/**
 * Locks or unlocks a stream by openpgp.js. The profile is pinned, never a default: SEIPDv1, AES-256, iterated S2K with the highest count, no
 * compression (RFC 4880, RFC 9580 5.13.1), which every gpg reads. What `unlock` gives is not authenticated before its last piece has come.
 */
export async function* openPgp(job: OpenPgpJob, source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const input = webStream(source);
  yield* job.kind === 'lock' ? lock(job, input) : unlock(job, input);
}

async function* lock(
  { passphrases, recipients }: OpenPgpJob & { kind: 'lock' },
  input: WebInput,
): AsyncGenerator<Uint8Array> {
  const openpgp = await import('openpgp');
  const { enums } = openpgp;
  // Its own type for streams comes from a package that it does not depend on.
  const output: unknown = await openpgp.encrypt({
    // The literal packet's own date would tell when; 0 is "none" there.
    message: await openpgp.createMessage({ binary: input.stream, date: new Date(0) }),
    ...(passphrases.length > 0 && { passwords: [...passphrases] }),
    ...(recipients.length > 0 && { encryptionKeys: await Promise.all(recipients.map(readRecipient)) }),
    // Given, so that no key's preferences choose a weaker cipher.
    sessionKey: { data: new Uint8Array(randomBytes(32)), algorithm: 'aes256' },
    format: 'binary',
    config: {
      aeadProtect: false,
      preferredSymmetricAlgorithm: enums.symmetric.aes256,
      preferredCompressionAlgorithm: enums.compression.uncompressed,
      s2kType: enums.s2k.iterated,
      s2kIterationCountByte: 255,
    },
  });
  try {
    yield* output as ReadableStream<Uint8Array>;
  } catch (error) {
    throw input.failure() ?? error;
  }
}

async function* unlock({ passphrase }: OpenPgpJob & { kind: 'unlock' }, input: WebInput): AsyncGenerator<Uint8Array> {
  const watch = new StallWatch(input.isAsked, () => new Error('openpgp.js has stalled'));
  let at: FailedAt = 'before-content';
  try {
    const reader = (await watch.wait(open(passphrase, input.stream))).getReader();
    at = 'content';
    try {
      for (;;) {
        const next = await watch.wait(reader.read());
        if (next.done) return;
        yield next.value;
      }
    } finally {
      reader.cancel().catch(() => undefined);
    }
  } catch (error) {
    throw input.failure() ?? (error instanceof OpenPgpFailure ? error : failure(at, error));
  } finally {
    watch.stop();
  }
}

async function open(
  passphrase: string,
  binaryMessage: ReadableStream<Uint8Array>,
): Promise<ReadableStream<Uint8Array>> {
  const openpgp = await import('openpgp');
  // Otherwise the whole plain text is held in memory until its end. Whoever reads this stream keeps it back until then.
  const config = { allowUnauthenticatedStream: true };
  try {
    const opened: unknown = await openpgp.decrypt({
      message: await openpgp.readMessage({ binaryMessage, config }),
      passwords: [passphrase],
      format: 'binary',
      config,
    });
    return (opened as { readonly data: ReadableStream<Uint8Array> }).data;
  } catch (error) {
    const isKey = error instanceof Error && /session key/i.test(error.message);
    throw failure(isKey ? 'session-key' : 'before-content', error);
  }
}

/** Reads an armored public key that can encrypt; throws an `OpenPgpFailure`. */
export async function readRecipient(armoredKey: string): Promise<PublicKey> {
  const openpgp = await import('openpgp');
  try {
    const key = await openpgp.readKey({ armoredKey });
    if (key.isPrivate()) throw new Error('it is a private key');
    await key.getEncryptionKey();
    return key.toPublic();
  } catch (error) {
    throw failure('recipient', error);
  }
}

function failure(at: FailedAt, error: unknown): OpenPgpFailure {
  return new OpenPgpFailure(at, error instanceof Error ? error.message : 'unknown');
}

interface WebInput {
  readonly stream: ReadableStream<Uint8Array>;
  /** What the source itself threw: openpgp.js may report that in words of its own. */
  readonly failure: () => Error | undefined;
  /** Whether it waits for the source at the moment. */
  readonly isAsked: () => boolean;
}

// openpgp.js takes web streams only. A source of large pieces is cut: it makes several copies of each.
function webStream(source: AsyncIterable<Uint8Array>): WebInput {
  const iterator = source[Symbol.asyncIterator]();
  let rest: Uint8Array = new Uint8Array(0);
  let thrown: Error | undefined;
  let isAsked = false;
  const stream = new ReadableStream<Uint8Array>(
    {
      async pull(controller): Promise<void> {
        while (rest.length === 0) {
          isAsked = true;
          const next = await iterator.next().catch((error: unknown) => {
            thrown = error instanceof Error ? error : new Error('The source failed.', { cause: error });
            throw thrown;
          });
          isAsked = false;
          if (next.done === true) {
            controller.close();
            return;
          }
          rest = next.value;
        }
        // A plain array: openpgp.js tells Buffers apart.
        controller.enqueue(new Uint8Array(rest.buffer, rest.byteOffset, Math.min(pieceBytes, rest.length)));
        rest = rest.subarray(pieceBytes);
      },
      async cancel(): Promise<void> {
        await iterator.return?.();
      },
    },
    { highWaterMark: 1 },
  );
  return { stream, failure: () => thrown, isAsked: () => isAsked };
}
