import type { PostgresPlace } from '../postgres/place.ts';
import type { DriverPlace } from '../types.ts';

/** MongoDB or FerretDB, spoken to by the driver. */
export interface MongoPlace extends DriverPlace {
  /** The database that the user was made in; `admin` unless given. */
  readonly authSource?: string;
  /**
   * The PostgreSQL that a FerretDB keeps its data in; the first of its `databases` is FerretDB's (`ferretdb` unless given). With it a dump
   * is of one moment: writers wait while it lasts. Without it nothing holds them back, and the part says so.
   */
  readonly postgres?: PostgresPlace;
  /** Only these; all but the system's own unless given. */
  readonly databases?: readonly string[];
  readonly excludeDatabases?: readonly string[];
}

/** Never dumped, never restored: users come from elsewhere, and the rest belongs to the server. */
export const systemDatabases: readonly string[] = ['admin', 'config', 'local'];
