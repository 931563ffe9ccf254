import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { mkdtemp, open, rmdir, unlink, type FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * Bytes that are kept until they are asked for: in a file that has no name any more when the first byte is written, under a key that only
 * this process knows. Whatever becomes of the process, nobody reads them.
 */
export class Spool implements AsyncDisposable {
  readonly #file: FileHandle;
  readonly #key = randomBytes(32);
  readonly #iv = randomBytes(16);
  readonly #cipher = createCipheriv('aes-256-ctr', this.#key, this.#iv);
  #pending: Buffer[] = [];
  #pendingBytes = 0;
  #bytes = 0;

  private constructor(file: FileHandle) {
    this.#file = file;
  }

  static async create(): Promise<Spool> {
    const folder = await mkdtemp(join(tmpdir(), 'devstack-backup-spool-'));
    const path = join(folder, 'spool');
    const file = await open(path, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, 0o600);
    await unlink(path);
    await rmdir(folder);
    return new Spool(file);
  }

  async write(text: string): Promise<void> {
    const bytes = this.#cipher.update(text, 'utf8');
    this.#pending.push(bytes);
    this.#pendingBytes += bytes.length;
    this.#bytes += bytes.length;
    if (this.#pendingBytes >= 256 * 1024) await this.#flush();
  }

  /** All that was written; nothing may be written after. */
  async *read(): AsyncGenerator<Uint8Array, void, undefined> {
    await this.#flush();
    const decipher = createDecipheriv('aes-256-ctr', this.#key, this.#iv);
    const chunk = Buffer.alloc(256 * 1024);
    for (let at = 0; at < this.#bytes;) {
      const { bytesRead } = await this.#file.read(chunk, 0, chunk.length, at);
      if (bytesRead === 0) throw new Error('a temporary file ended too early');
      at += bytesRead;
      yield decipher.update(chunk.subarray(0, bytesRead));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close();
  }

  async #flush(): Promise<void> {
    const bytes = Buffer.concat(this.#pending);
    this.#pending = [];
    this.#pendingBytes = 0;
    // One write may take less than it was given.
    for (let at = 0; at < bytes.length;) at += (await this.#file.write(bytes, at)).bytesWritten;
  }
}
