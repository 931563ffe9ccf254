import { randomUUID } from 'node:crypto';
import { PassThrough } from 'node:stream';
import { SecretRegistry } from '@devstack-core/redaction';
import type { FastifyInstance } from 'fastify';
import { Health, type Checked } from '../src/health.ts';
import { addRoutes, createServer } from '../src/http/app.ts';
import { createMetrics } from '../src/http/metrics.ts';
import { createLogOutput } from '../src/logger.ts';
import type { NoteCache } from '../src/notes/note-cache.ts';
import { NoteService } from '../src/notes/note-service.ts';
import type { NoteStore } from '../src/notes/note-store.ts';
import type { Note, NoteEvent } from '../src/notes/note.ts';

/** A store in memory that keeps the contract of the real one. */
export function memoryStore(): NoteStore & { readonly notes: Map<string, Note> } {
  const notes = new Map<string, Note>();
  return {
    notes,
    async create(content) {
      const now = new Date().toISOString();
      const note = { id: randomUUID(), ...content, version: 1, createdAt: now, updatedAt: now };
      notes.set(note.id, note);
      return note;
    },
    read: async (id) => notes.get(id),
    async list(limit, after) {
      const sorted = [...notes.values()].reverse();
      const start = after === undefined ? 0 : sorted.findIndex(({ id }) => id === after.id) + 1;
      return sorted.slice(start, start + limit);
    },
    async replace(id, content, version) {
      const note = notes.get(id);
      if (note === undefined || (version !== undefined && note.version !== version)) return undefined;
      const next = { ...note, ...content, version: note.version + 1 };
      notes.set(id, next);
      return next;
    },
    async delete(id, version) {
      const note = notes.get(id);
      return note !== undefined && (version === undefined || note.version === version) && notes.delete(id);
    },
    pendingEvents: async () => [],
    forgetEvents: async () => undefined,
  };
}

/** A cache in memory. */
export function memoryCache(): NoteCache {
  const notes = new Map<string, Note | 'gone'>();
  return {
    async read(id) {
      const note = notes.get(id);
      if (note === undefined) return { state: 'miss' };
      return note === 'gone' ? { state: 'gone' } : { state: 'hit', note };
    },
    async fill(note) {
      if (!notes.has(note.id)) notes.set(note.id, note);
    },
    put: async (note) => void notes.set(note.id, note),
    markGone: async (id) => void notes.set(id, 'gone'),
  };
}

/** The HTTP side on fakes. */
export interface FakeApp {
  readonly app: FastifyInstance;
  readonly registry: SecretRegistry;
  readonly logged: () => Promise<string>;
  readonly events: NoteEvent[];
}

/** Builds the real HTTP side on these parts, or on fakes that work. */
export async function fakeApp(
  parts: {
    readonly store?: NoteStore;
    readonly cache?: NoteCache;
    readonly checked?: readonly Checked[];
    readonly isDraining?: () => boolean;
  } = {},
): Promise<FakeApp> {
  const registry = new SecretRegistry();
  const output = new PassThrough();
  let text = '';
  output.on('data', (chunk: Buffer) => (text += chunk.toString()));
  const log = createLogOutput(registry, 'info', output);
  const app = createServer(log.options);
  const events: NoteEvent[] = [];
  const metrics = createMetrics();
  const notes = new NoteService({
    store: parts.store ?? memoryStore(),
    cache: parts.cache ?? memoryCache(),
    onEvent: () => undefined,
    logger: app.log,
  });
  const health = new Health({
    checked: parts.checked ?? [{ name: 'database', check: async () => undefined }],
    metrics,
    logger: app.log,
    maxAgeMs: 0,
    timeoutMs: 200,
  });
  await addRoutes(app, {
    notes: {
      notes,
      revisions: {
        record: async () => undefined,
        of: async (noteId) => events.filter((event) => event.noteId === noteId),
      },
      counts: { record: async () => undefined, read: async () => ({ created: 1, updated: 2, deleted: 3 }) },
    },
    status: { health, metrics, isDraining: parts.isDraining ?? (() => false), required: ['database'] },
  });
  const logged = async (): Promise<string> => {
    await log.end();
    return text;
  };
  return { app, registry, logged, events };
}
