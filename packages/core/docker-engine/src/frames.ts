import { StringDecoder } from 'node:string_decoder';

/** A piece of a container's output. */
export interface OutputChunk {
  readonly stream: 'stdout' | 'stderr';
  readonly bytes: Buffer;
}

const headerBytes = 8;

/**
 * Takes the engine's multiplexed stream apart, in chunks of any size: 8 bytes of header (stream type, three zeros, length big-endian),
 * then the payload (Docker Engine API, "ContainerAttach", stream format). With `tty`, everything is stdout as it comes.
 */
export class FrameSplitter {
  readonly #isTty: boolean;
  #pending: Buffer = Buffer.alloc(0);

  constructor(isTty = false) {
    this.#isTty = isTty;
  }

  push(chunk: Buffer): OutputChunk[] {
    if (this.#isTty) return [{ stream: 'stdout', bytes: chunk }];
    this.#pending = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk]);
    const chunks: OutputChunk[] = [];
    while (this.#pending.length >= headerBytes) {
      const end = headerBytes + this.#pending.readUInt32BE(4);
      if (this.#pending.length < end) break;
      chunks.push({
        stream: this.#pending[0] === 2 ? 'stderr' : 'stdout',
        bytes: this.#pending.subarray(headerBytes, end),
      });
      this.#pending = this.#pending.subarray(end);
    }
    return chunks;
  }
}

/** One line of a container's output, without its end. */
export interface LogLine {
  readonly stream: 'stdout' | 'stderr';
  readonly text: string;
}

/** Makes lines of chunks, each stream for itself; characters that are cut between chunks stay whole. */
export class LineJoiner {
  readonly #decoders = { stdout: new StringDecoder('utf8'), stderr: new StringDecoder('utf8') };
  readonly #rest = { stdout: '', stderr: '' };

  push({ stream, bytes }: OutputChunk): LogLine[] {
    const lines = (this.#rest[stream] + this.#decoders[stream].write(bytes)).split('\n');
    this.#rest[stream] = lines.pop() ?? '';
    return lines.map((text) => ({ stream, text: text.replace(/\r$/, '') }));
  }

  /** The last lines, where the output did not end with a line end. */
  end(): LogLine[] {
    return (['stdout', 'stderr'] as const).flatMap((stream) => {
      const text = this.#rest[stream] + this.#decoders[stream].end();
      return text === '' ? [] : [{ stream, text }];
    });
  }
}
