import type { Readable } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';
import { redactStream, type SecretRegistry } from '@devstack-core/redaction';

/** One line that a program wrote, without its end. */
export interface OutputLine {
  readonly stream: 'stdout' | 'stderr';
  readonly text: string;
}

/** What a program wrote to one stream, up to a limit; beyond it the oldest bytes go. */
export class OutputBuffer {
  readonly #limitBytes: number;
  readonly #chunks: Buffer[] = [];
  #sizeBytes = 0;
  #isTruncated = false;

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  get isTruncated(): boolean {
    return this.#isTruncated;
  }

  add(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#sizeBytes += chunk.length;
    while (this.#sizeBytes > this.#limitBytes) {
      this.#isTruncated = true;
      const first = this.#chunks.shift() ?? Buffer.alloc(0);
      const surplus = this.#sizeBytes - this.#limitBytes;
      this.#sizeBytes -= first.length;
      if (first.length > surplus) {
        this.#chunks.unshift(first.subarray(surplus));
        this.#sizeBytes += first.length - surplus;
      }
    }
  }

  text(): string {
    return Buffer.concat(this.#chunks).toString('utf8');
  }
}

/** Calls back with each chunk, masked where a registry is given. Resolves when the stream has ended. */
export async function readChunks(
  source: Readable,
  registry: SecretRegistry | undefined,
  onChunk: (chunk: Buffer) => void,
): Promise<void> {
  const stream = registry === undefined ? source : source.pipe(redactStream(registry));
  await new Promise<void>((resolve) => {
    stream.on('data', onChunk);
    stream.once('end', resolve);
    // A stream that breaks ends what there is to read; the exit code tells the rest.
    source.once('close', () => {
      if (stream === source || !source.readableEnded) resolve();
    });
    source.once('error', () => {
      resolve();
    });
  });
}

/** Cuts chunks into lines at `\n`, `\r\n` and `\r` (progress bars). The last line counts without its end, too. */
export class LineSplitter {
  readonly #onLine: (text: string) => void;
  readonly #decoder = new StringDecoder('utf8');
  #rest = '';

  constructor(onLine: (text: string) => void) {
    this.#onLine = onLine;
  }

  add(chunk: Buffer): void {
    const text = this.#rest + this.#decoder.write(chunk);
    // A `\r` at the end may be the first half of `\r\n`.
    const held = text.endsWith('\r') ? '\r' : '';
    const lines = text.slice(0, text.length - held.length).split(/\r\n|\n|\r/);
    this.#rest = (lines.pop() ?? '') + held;
    for (const line of lines) this.#onLine(line);
  }

  end(): void {
    const rest = this.#rest + this.#decoder.end();
    this.#rest = '';
    if (rest !== '') this.#onLine(rest.replace(/\r$/, ''));
  }
}
