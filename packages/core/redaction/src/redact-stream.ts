import { Transform, type TransformCallback } from 'node:stream';
import { maskPiece } from './mask.ts';
import type { SecretRegistry } from './secret-registry.ts';

/**
 * A byte stream that masks every secret of the registry, also where a chunk ends inside of one. Only an end that may still
 * become a secret is held back, so a prompt appears at once. Secrets added later are masked from the next chunk on.
 */
export function redactStream(registry: SecretRegistry): Transform {
  let rest = '';
  let covered = 0;
  // One character per byte: needles and text stay comparable whatever the bytes mean and wherever a chunk cuts a character.
  const advance = (chunk: string, isLast: boolean): Buffer => {
    const piece = maskPiece(registry.byteScanner(), rest + chunk, covered, isLast);
    ({ rest, covered } = piece);
    return Buffer.from(piece.text, 'latin1');
  };
  return new Transform({
    transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
      done(null, advance(chunk.toString('latin1'), false));
    },
    flush(done: TransformCallback): void {
      done(null, advance('', true));
    },
  });
}
