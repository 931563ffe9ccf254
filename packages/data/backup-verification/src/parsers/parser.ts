import { DevstackError } from '@devstack-core/errors';
import type { StoredPart } from '@devstack-core/database-backup';
import { BackupVerificationErrorCode } from '../errors.ts';
import { ByteReader, EndOfStream } from './byte-reader.ts';

/** What a parser found in the plain content of an artifact. */
export interface Parsed {
  /** For people, e.g. `PostgreSQL custom-format dump 1.16`. */
  readonly format: string;
  /** How many things it holds: entries, files, documents, lines. */
  readonly entries: number;
}

/**
 * Reads the whole plain content of an artifact and tells whether its structure is whole. It need not know what the content means.
 * Throws `ARTIFACT_MALFORMED`.
 */
export type Parser = (content: AsyncIterable<Uint8Array>, part: Pick<StoredPart, 'kind' | 'name'>) => Promise<Parsed>;

/** The error of a structure that is not whole. */
export function malformed(what: string): DevstackError {
  return new DevstackError({
    code: BackupVerificationErrorCode.malformed,
    message: `The content is authentic but not whole: ${what}.`,
    hint: 'It was broken before it was encrypted: make a new backup and look why.',
  });
}

/** A parser of what `read` reads through a `ByteReader`; an end that comes too early, and a rest, are malformed. */
export function structured(format: string, read: (reader: ByteReader) => Promise<Parsed>): Parser {
  return async (content) => {
    const reader = new ByteReader(content);
    try {
      const parsed = await read(reader);
      if (!(await reader.atEnd())) throw malformed(`something follows the end of the ${format}`);
      return parsed;
    } catch (error) {
      if (error instanceof EndOfStream) throw malformed(`${format}: ${error.message}`);
      throw error;
    }
  };
}
