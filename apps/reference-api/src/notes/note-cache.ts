import type { RedisConnection } from '@devstack-core/database-connections';
import type { Backend } from '../backends/backend.ts';
import type { Note } from './note.ts';

/** What is known of a note without asking the store. */
export type Cached =
  { readonly state: 'hit'; readonly note: Note } | { readonly state: 'gone' } | { readonly state: 'miss' };

/** Notes that were asked for lately. */
export interface NoteCache {
  read(id: string): Promise<Cached>;
  /** What was read from the store: gives way to what a writer has put there meanwhile. */
  fill(note: Note): Promise<void>;
  /** What was written to the store. */
  put(note: Note): Promise<void>;
  /** Keeps a reader that is late from filling in what was deleted. */
  markGone(id: string): Promise<void>;
}

const lifetimeS = 60;

/** The cache in Redis, one key per note, so a cluster spreads them. */
export function redisNoteCache(redis: Backend<RedisConnection>): NoteCache {
  const command = async (name: string, ...parameters: (string | number)[]): Promise<unknown> =>
    redis.use((connection) => connection.command(name, ...parameters));
  const set = async (id: string, value: string, ...only: string[]): Promise<void> => {
    await command('SET', keyOf(id), value, 'EX', lifetimeS, ...only);
  };
  return {
    async read(id) {
      const text = await command('GET', keyOf(id));
      if (typeof text !== 'string') return { state: 'miss' };
      return text === '' ? { state: 'gone' } : { state: 'hit', note: JSON.parse(text) as Note };
    },
    fill: (note) => set(note.id, JSON.stringify(note), 'NX'),
    put: (note) => set(note.id, JSON.stringify(note)),
    markGone: (id) => set(id, ''),
  };
}

function keyOf(id: string): string {
  return `reference-api:note:${id}`;
}
