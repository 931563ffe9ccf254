import type { Logger } from '../logger.ts';
import type { NoteCache } from './note-cache.ts';
import type { NoteStore } from './note-store.ts';
import type { Note, NoteContent } from './note.ts';

/** A note, and whether the cache had it. */
export interface FoundNote {
  readonly note: Note;
  readonly from: 'cache' | 'store';
}

/** Notes with a cache before them and events behind them. The cache may be away: then everything comes from the store. */
export class NoteService {
  readonly #store: NoteStore;
  readonly #cache: NoteCache;
  readonly #onEvent: () => void;
  readonly #logger: Logger;

  constructor(options: {
    readonly store: NoteStore;
    readonly cache: NoteCache;
    readonly onEvent: () => void;
    readonly logger: Logger;
  }) {
    this.#store = options.store;
    this.#cache = options.cache;
    this.#onEvent = options.onEvent;
    this.#logger = options.logger;
  }

  get list(): NoteStore['list'] {
    return this.#store.list.bind(this.#store);
  }

  async create(content: NoteContent): Promise<Note> {
    const note = await this.#store.create(content);
    this.#onEvent();
    await this.#tryCache(() => this.#cache.put(note));
    return note;
  }

  async read(id: string): Promise<FoundNote | undefined> {
    const cached = await this.#tryCache(() => this.#cache.read(id));
    if (cached?.state === 'hit') return { note: cached.note, from: 'cache' };
    if (cached?.state === 'gone') return undefined;
    const note = await this.#store.read(id);
    if (note === undefined) return undefined;
    await this.#tryCache(() => this.#cache.fill(note));
    return { note, from: 'store' };
  }

  /** `changed` where the note has another version than the one that was asked for. */
  async replace(id: string, content: NoteContent, version?: number): Promise<Note | 'missing' | 'changed'> {
    const note = await this.#store.replace(id, content, version);
    if (note === undefined) return this.#whyNot(id);
    this.#onEvent();
    await this.#tryCache(() => this.#cache.put(note));
    return note;
  }

  async delete(id: string, version?: number): Promise<'deleted' | 'missing' | 'changed'> {
    if (!(await this.#store.delete(id, version))) return this.#whyNot(id);
    this.#onEvent();
    await this.#tryCache(() => this.#cache.markGone(id));
    return 'deleted';
  }

  async #whyNot(id: string): Promise<'missing' | 'changed'> {
    return (await this.#store.read(id)) === undefined ? 'missing' : 'changed';
  }

  async #tryCache<T>(work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      this.#logger.warn({ err: error }, 'the cache is away');
      return undefined;
    }
  }
}
