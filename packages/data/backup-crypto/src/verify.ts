import { isDevstackError } from '@devstack-core/errors';
import { abortable } from './abortable.ts';
import type { Artifact } from './artifact.ts';
import { artifactError } from './errors.ts';
import { Meter, ProgressReport } from './meter.ts';
import { OpenPgpFailure } from './openpgp-message.ts';
import { runOpenPgp } from './openpgp-thread.ts';
import { FramingError, PacketScanner } from './packet-scanner.ts';
import { checkForm } from './passphrase.ts';
import type { DecryptOptions, Expected, Measured } from './types.ts';
import { FrameError } from './zstd-frames.ts';
import { decompress, EndsEarlyError } from './zstd.ts';

/** One reading of an artifact from its file to its content. */
export class Reading {
  readonly #artifact: Artifact;
  readonly #options: DecryptOptions;
  readonly #plain: Meter;
  readonly #scanner = new PacketScanner();
  readonly #progress: ProgressReport;
  #cipherBytes = 0;
  #measured: Measured | undefined;

  constructor(artifact: Artifact, options: DecryptOptions) {
    if (options.encrypted !== false) checkForm(options.passphrase);
    this.#artifact = artifact;
    this.#options = options;
    this.#plain = new Meter(options.plainKey);
    this.#progress = new ProgressReport(options.onProgress);
  }

  /** What was read; throws unless `content` came to its end. */
  get measured(): Measured {
    if (this.#measured === undefined) throw new Error('The artifact was not read to its end.');
    return this.#measured;
  }

  /** The content, not authenticated before the generator ends without an error: it must not leave this package before that. */
  async *content(): AsyncGenerator<Uint8Array> {
    const { expect = {}, compress = 'zstd' } = this.#options;
    // Without compression the pieces go out as they are, to whoever keeps them.
    const payload = this.payload({ reusesOutput: compress === 'zstd' });
    try {
      for await (const chunk of compress === 'zstd' ? decompress(payload) : payload) {
        this.#plain.update(chunk);
        this.#progress.step(this.#plain.bytes, this.#cipherBytes);
        // No more than expected is unpacked, whatever the file says.
        if (this.#plain.bytes > (expect.plain?.bytes ?? Infinity)) throw this.#notExpected();
        yield chunk;
      }
    } catch (error) {
      throw await this.#explained(error);
    }
    const cipher = this.#artifact.measure;
    if (cipher === undefined) throw new Error('The artifact was not read to its end.');
    const measured = { plain: this.#plain.measure(), cipher };
    this.#progress.last(measured.plain.bytes, cipher.bytes);
    this.#compare(measured, expect);
    this.#measured = measured;
  }

  /** Decrypted, not decompressed, and as little authenticated. */
  async *payload({ reusesOutput = false }: { readonly reusesOutput?: boolean } = {}): AsyncGenerator<Uint8Array> {
    const blocks = abortable(this.#blocks(), this.#options.signal, 'The decryption');
    if (this.#options.encrypted === false) yield* blocks;
    else {
      const job = { kind: 'unlock', passphrase: this.#options.passphrase.reveal() } as const;
      yield* runOpenPgp(job, blocks, { ownsInput: true, reusesOutput });
    }
  }

  async *#blocks(): AsyncGenerator<Uint8Array> {
    const scan = this.#options.encrypted !== false;
    yield* this.#artifact.blocks((block) => {
      this.#cipherBytes += block.length;
      if (scan) this.#scanner.push(block);
    });
    if (scan && !this.#scanner.isComplete) throw new EndsEarlyError();
  }

  /** What an error of any layer means for the user; the order of the questions matters. */
  async #explained(error: unknown): Promise<unknown> {
    if (isDevstackError(error)) return error;
    const { path } = this.#artifact;
    const isChanged = await this.#isChanged();
    if (isChanged === true) return artifactError('damaged', path, 'its SHA-256 is not the one that was written down');
    if (error instanceof FramingError) return artifactError(error.fault, path, error.message);
    if (error instanceof EndsEarlyError) {
      const isTruncated = this.#options.encrypted === false || !this.#scanner.isComplete;
      if (isTruncated) return artifactError('truncated', path, 'it ends in the middle');
    }
    if (error instanceof OpenPgpFailure && error.at !== 'content') return this.#unopened(error, isChanged === false);
    if (error instanceof FrameError || error instanceof EndsEarlyError) return this.#notZstd(error);
    return artifactError('damaged', path, damage(error));
  }

  #unopened(error: OpenPgpFailure, isUnchanged: boolean): Error {
    const { path } = this.#artifact;
    if (!this.#scanner.hasPassphrase)
      return artifactError('wrongPassphrase', path, 'no passphrase opens it, only a private key does');
    const why = isUnchanged
      ? 'the file is as it was written, so it is the passphrase'
      : error.at === 'session-key'
        ? 'the passphrase does not open it'
        : 'what comes out makes no sense';
    return artifactError('wrongPassphrase', path, why);
  }

  #notZstd(error: FrameError | EndsEarlyError): Error {
    const { path } = this.#artifact;
    if (this.#options.encrypted !== false) return artifactError('damaged', path, `inside, ${error.message}`);
    const fault = error instanceof FrameError && error.fault === 'trailingData' ? 'trailingData' : 'notOpenPgp';
    return artifactError(fault, path, error.message);
  }

  /** Whether the file is another than the expected one; undefined where nothing tells. The rest of it is read for that. */
  async #isChanged(): Promise<boolean | undefined> {
    const expected = this.#options.expect?.cipher;
    if (expected === undefined || this.#options.signal?.aborted === true) return undefined;
    const hash = new Meter();
    for await (const block of this.#artifact.raw()) hash.update(block);
    return hash.measure().sha256 !== expected.sha256;
  }

  #compare(measured: Measured, expect: Expected): void {
    const isSame = (['plain', 'cipher'] as const).every((side) => {
      const wanted = expect[side];
      return wanted === undefined || (wanted.bytes === measured[side].bytes && wanted.sha256 === measured[side].sha256);
    });
    if (!isSame) throw this.#notExpected();
  }

  #notExpected(): Error {
    return artifactError(
      'damaged',
      this.#artifact.path,
      'it is whole in itself, but not the artifact that was written down: it may be from another set',
    );
  }
}

function damage(error: unknown): string {
  const message = error instanceof Error ? error.message : '';
  return /modification/i.test(message)
    ? 'its modification detection code does not fit its content'
    : 'its content does not fit together';
}
