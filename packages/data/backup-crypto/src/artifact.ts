import { open, type FileHandle } from 'node:fs/promises';
import { createHash } from 'node:crypto';
import { artifactError, fileError } from './errors.ts';
import type { Expected, Measure } from './types.ts';

const blockBytes = 512 * 1024;

/**
 * A file that is read once or twice. The first time, what its bytes up to each block hash to is kept; the second time nothing is given that
 * differs, so that both times the same was read.
 */
export class Artifact implements AsyncDisposable {
  readonly path: string;
  readonly sizeBytes: number;
  readonly #handle: FileHandle;
  readonly #digests: Buffer[] = [];
  #measure: Measure | undefined;

  private constructor(path: string, handle: FileHandle, sizeBytes: number) {
    this.path = path;
    this.#handle = handle;
    this.sizeBytes = sizeBytes;
  }

  /** Throws `BACKUP_FILE_FAILED`, and `BACKUP_TRUNCATED` or `BACKUP_TRAILING_DATA` where its size is not the expected one. */
  static async open(path: string, expect: Expected = {}): Promise<Artifact> {
    const handle = await open(path, 'r').catch((error: unknown) => {
      throw fileError(error, 'read', path);
    });
    try {
      const stats = await handle.stat();
      if (!stats.isFile()) throw artifactError('notOpenPgp', path, 'it is not a file');
      const wanted = expect.cipher?.bytes ?? stats.size;
      const sizes = `${String(stats.size)} bytes where ${String(wanted)} were written`;
      if (stats.size === 0 || stats.size < wanted)
        throw artifactError('truncated', path, stats.size === 0 ? 'it is empty' : `it has ${sizes}`);
      if (stats.size > wanted) throw artifactError('trailingData', path, `it has ${sizes}`);
      return new Artifact(path, handle, stats.size);
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  /** What the first reading measured; undefined until its end. */
  get measure(): Measure | undefined {
    return this.#measure;
  }

  /** The file in blocks that belong to whoever takes them. The second time, throws `BACKUP_DAMAGED` in place of a block that has changed. */
  async *blocks(seen: (block: Uint8Array) => void = () => undefined): AsyncGenerator<Uint8Array> {
    const isSecond = this.#measure !== undefined;
    const hash = createHash('sha256');
    let position = 0;
    let reading = this.#read(position);
    try {
      for (let index = 0; ; index += 1) {
        const block = await reading;
        if (block.length === 0) break;
        position += block.length;
        // Ahead, while this one is worked on.
        reading = this.#read(position);
        hash.update(block);
        const digest = hash.copy().digest();
        if (!isSecond) this.#digests.push(digest);
        else if (this.#digests[index]?.equals(digest) !== true) throw this.#changed();
        seen(block);
        yield block;
      }
    } finally {
      await reading.catch(() => undefined);
    }
    const measure = { bytes: position, sha256: hash.digest('hex') };
    if (isSecond && this.#measure?.sha256 !== measure.sha256) throw this.#changed();
    this.#measure ??= measure;
  }

  /** The bytes alone, without keeping anything of them. */
  async *raw(): AsyncGenerator<Uint8Array> {
    for (let position = 0; ;) {
      const block = await this.#read(position);
      if (block.length === 0) return;
      position += block.length;
      yield block;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#handle.close();
  }

  // A whole block unless the file ends, so that both readings are cut alike. In memory of its own: it goes to a thread.
  async #read(position: number): Promise<Uint8Array> {
    const block = Buffer.allocUnsafeSlow(blockBytes);
    let filled = 0;
    while (filled < block.length) {
      const { bytesRead } = await this.#handle
        .read(block, filled, block.length - filled, position + filled)
        .catch((error: unknown) => {
          throw fileError(error, 'read', this.path);
        });
      if (bytesRead === 0) break;
      filled += bytesRead;
    }
    return block.subarray(0, filled);
  }

  #changed(): Error {
    return artifactError('damaged', this.path, 'it has changed since it was verified, a moment ago');
  }
}
