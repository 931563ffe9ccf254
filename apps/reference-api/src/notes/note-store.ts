import { randomUUID } from 'node:crypto';
import type { SqlConnection } from '@devstack-core/database-connections';
import type { Backend } from '../backends/backend.ts';
import type { Note, NoteContent, NoteEvent } from './note.ts';

/** Where a list goes on. */
export interface NotePosition {
  readonly createdAt: string;
  readonly id: string;
}

/** The notes, and the events that wait to be published. */
export interface NoteStore {
  create(content: NoteContent): Promise<Note>;
  read(id: string): Promise<Note | undefined>;
  /** The newest first. */
  list(limit: number, after?: NotePosition): Promise<readonly Note[]>;
  /** Undefined where there is no such note of that version. */
  replace(id: string, content: NoteContent, version?: number): Promise<Note | undefined>;
  delete(id: string, version?: number): Promise<boolean>;
  pendingEvents(limit: number): Promise<readonly PendingEvent[]>;
  forgetEvents(positions: readonly string[]): Promise<void>;
}

/** An event in the outbox. */
export interface PendingEvent {
  readonly position: string;
  readonly event: NoteEvent;
}

/** Makes the tables in the first schema of the search path, which is the user's own. */
export async function prepareNoteStore(connection: SqlConnection): Promise<void> {
  await connection.query(
    `CREATE TABLE IF NOT EXISTS notes (
       id uuid PRIMARY KEY, title text NOT NULL, body text NOT NULL, version integer NOT NULL,
       created_at timestamptz NOT NULL, updated_at timestamptz NOT NULL)`,
  );
  await connection.query('CREATE INDEX IF NOT EXISTS notes_newest ON notes (created_at DESC, id DESC)');
  await connection.query(
    'CREATE TABLE IF NOT EXISTS note_outbox (position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, event jsonb NOT NULL)',
  );
}

/**
 * Notes in PostgreSQL. Every change and its event are one statement, so a pooler in transaction mode is fine and no event is lost
 * ("transactional outbox"): it stays until the broker has confirmed it.
 */
export function postgresNoteStore(postgres: Backend<SqlConnection>): NoteStore {
  const change = async (
    statement: string,
    kind: string,
    parameters: readonly (string | number | null)[],
  ): Promise<Note | undefined> => {
    const [row] = await postgres.use(
      (connection) =>
        connection.query<NoteRow>(withEvent(statement, kind, parameters.length), [...parameters, randomUUID()]),
      {
        repeatable: false,
      },
    );
    return row === undefined ? undefined : noteOf(row);
  };
  return {
    async create({ title, body }) {
      const now = new Date().toISOString();
      const note = await change(`INSERT INTO notes VALUES ($1, $2, $3, 1, $4, $4) RETURNING *`, 'created', [
        randomUUID(),
        title,
        body,
        now,
      ]);
      if (note === undefined) throw new Error('an insert gave no row');
      return note;
    },
    async read(id) {
      const [row] = await postgres.use((connection) =>
        connection.query<NoteRow>('SELECT * FROM notes WHERE id = $1', [id]),
      );
      return row === undefined ? undefined : noteOf(row);
    },
    async list(limit, after) {
      const rows = await postgres.use((connection) =>
        connection.query<NoteRow>(
          `SELECT * FROM notes WHERE $2::timestamptz IS NULL OR (created_at, id) < ($2::timestamptz, $3::uuid) ORDER BY created_at DESC, id DESC LIMIT $1`,
          [limit, after?.createdAt ?? null, after?.id ?? null],
        ),
      );
      return rows.map(noteOf);
    },
    replace: (id, { title, body }, version) =>
      change(
        `UPDATE notes SET title = $2, body = $3, version = version + 1, updated_at = $4 WHERE id = $1 AND ($5::integer IS NULL OR version = $5) RETURNING *`,
        'updated',
        [id, title, body, new Date().toISOString(), version ?? null],
      ),
    delete: async (id, version) =>
      (await change(
        `DELETE FROM notes WHERE id = $1 AND ($2::integer IS NULL OR version = $2) RETURNING *`,
        'deleted',
        [id, version ?? null],
      )) !== undefined,
    async pendingEvents(limit) {
      return postgres.use((connection) =>
        connection.query<{ position: string; event: NoteEvent }>(
          'SELECT position::text, event FROM note_outbox ORDER BY note_outbox.position LIMIT $1',
          [limit],
        ),
      );
    },
    async forgetEvents(positions) {
      await postgres.use((connection) =>
        connection.query('DELETE FROM note_outbox WHERE position = ANY (string_to_array($1, $2)::bigint[])', [
          positions.join(','),
          ',',
        ]),
      );
    },
  };
}

function withEvent(statement: string, kind: string, parameterCount: number): string {
  return `WITH note AS (${statement}),
    event AS (
      INSERT INTO note_outbox (event)
      SELECT jsonb_build_object('id', $${String(parameterCount + 1)}::text, 'kind', '${kind}', 'noteId', id, 'version', version, 'title', title, 'body', body,
        'occurredAt', to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'))
      FROM note)
    SELECT * FROM note`;
}

interface NoteRow {
  readonly id: string;
  readonly title: string;
  readonly body: string;
  readonly version: number;
  readonly created_at: Date;
  readonly updated_at: Date;
}

function noteOf(row: NoteRow): Note {
  return {
    id: row.id,
    title: row.title,
    body: row.body,
    version: row.version,
    createdAt: row.created_at.toISOString(),
    updatedAt: row.updated_at.toISOString(),
  };
}
