import type { Place } from '../types.ts';

/** A container that runs PostgreSQL, and which of its databases a backup is about. */
export interface PostgresPlace extends Place {
  /** A folder with the server's socket or a loopback address, as seen inside the container; libpq's own default unless given. */
  readonly host?: string;
  /** Only these; all that accept connections unless given. */
  readonly databases?: readonly string[];
  /** Not these: databases that something else in the set owns, such as Forgejo's. */
  readonly excludeDatabases?: readonly string[];
}
