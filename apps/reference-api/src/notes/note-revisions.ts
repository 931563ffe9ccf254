import type { MongoConnection } from '@devstack-core/database-connections';
import type { Backend } from '../backends/backend.ts';
import type { NoteEvent } from './note.ts';

/** What happened to a note. */
export interface NoteRevisions {
  record(event: NoteEvent): Promise<void>;
  /** The oldest first. */
  of(noteId: string): Promise<readonly NoteEvent[]>;
}

const collection = 'note_revisions';

/** One document per event in MongoDB. */
export function mongoNoteRevisions(mongodb: Backend<MongoConnection>): NoteRevisions {
  return {
    async record({ id, ...event }) {
      await mongodb.use((connection) =>
        connection
          .db()
          .collection(collection)
          .updateOne({ _id: id }, { $set: { ...event } }, { upsert: true }),
      );
    },
    async of(noteId) {
      const documents = await mongodb.use((connection) =>
        connection
          .db()
          .collection(collection)
          .find({ noteId }, { sort: { version: 1 }, limit: 1000 }),
      );
      return documents.map(({ _id, ...event }) => ({ ...event, id: String(_id) }) as unknown as NoteEvent);
    },
  };
}
