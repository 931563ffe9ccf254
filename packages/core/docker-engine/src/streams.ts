import { Duplex, Readable } from 'node:stream';

/** The stream that dockerode gives, which it types as less than it is. */
export function asReadable(stream: unknown): Readable {
  if (stream instanceof Readable) return stream;
  throw new TypeError('the engine client gave no readable stream');
}

/** The same for both ways. */
export function asDuplex(stream: unknown): Duplex {
  if (stream instanceof Duplex) return stream;
  throw new TypeError('the engine client gave no stream for both ways');
}
