import type { SqlConnection } from '@devstack-core/database-connections';
import type { Backend } from '../backends/backend.ts';
import type { NoteEvent, NoteEventKind } from './note.ts';

/** How often what happened. */
export interface NoteCounts {
  record(event: NoteEvent): Promise<void>;
  read(): Promise<Readonly<Record<NoteEventKind, number>>>;
}

/** Makes the table. */
export async function prepareNoteCounts(connection: SqlConnection): Promise<void> {
  await connection.query(
    'CREATE TABLE IF NOT EXISTS note_events (id CHAR(36) PRIMARY KEY, kind VARCHAR(16) NOT NULL, occurred_on DATE NOT NULL)',
  );
}

/** One row per event in MySQL, so that an event that comes twice counts once. */
export function mysqlNoteCounts(mysql: Backend<SqlConnection>): NoteCounts {
  return {
    async record({ id, kind, occurredAt }) {
      await mysql.use((connection) =>
        connection.query('INSERT IGNORE INTO note_events VALUES (?, ?, ?)', [id, kind, occurredAt.slice(0, 10)]),
      );
    },
    async read() {
      const rows = await mysql.use((connection) =>
        connection.query<{ kind: NoteEventKind; events: number | string }>(
          'SELECT kind, COUNT(*) AS events FROM note_events GROUP BY kind',
        ),
      );
      const counts = { created: 0, updated: 0, deleted: 0 };
      for (const { kind, events } of rows) counts[kind] = Number(events);
      return counts;
    },
  };
}
