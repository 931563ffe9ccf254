import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { NoteCounts } from '../notes/note-counts.ts';
import type { NoteRevisions } from '../notes/note-revisions.ts';
import type { NoteService } from '../notes/note-service.ts';
import type { NotePosition } from '../notes/note-store.ts';
import type { Note, NoteContent } from '../notes/note.ts';
import { problem, sendProblem } from './problem.ts';

/** What the routes of the notes work on. */
export interface NoteRoutesOptions {
  readonly notes: NoteService;
  readonly revisions: NoteRevisions;
  readonly counts: NoteCounts;
}

const id = { type: 'string', format: 'uuid' } as const;
const params = { type: 'object', required: ['id'], properties: { id } } as const;
// A NUL byte is no text to PostgreSQL.
const text = (maxLength: number): object => ({ type: 'string', minLength: 1, maxLength, pattern: '^[^\\u0000]*$' });
const content = {
  type: 'object',
  required: ['title', 'body'],
  additionalProperties: false,
  properties: { title: text(200), body: text(20_000) },
};
const note = {
  $id: 'Note',
  type: 'object',
  required: ['id', 'title', 'body', 'version', 'createdAt', 'updatedAt'],
  properties: {
    id,
    title: { type: 'string' },
    body: { type: 'string' },
    version: { type: 'integer' },
    createdAt: { type: 'string' },
    updatedAt: { type: 'string' },
  },
} as const;
const event = {
  type: 'object',
  properties: {
    id,
    kind: { type: 'string' },
    noteId: id,
    version: { type: 'integer' },
    title: { type: 'string' },
    body: { type: 'string' },
    occurredAt: { type: 'string' },
  },
};
const count = { type: 'integer' };
const aProblem = (description: string): object => ({
  description,
  content: { 'application/problem+json': { schema: { $ref: 'Problem#' } } },
});
const oneNote = (description: string): object => ({ description, ...{ $ref: 'Note#' } });
const ifMatch = {
  type: 'object',
  properties: {
    'if-match': { type: 'string', pattern: '^"[0-9]{1,9}"$', description: 'The ETag of the version that is meant.' },
  },
};

/** Notes: a row in PostgreSQL, cached in Redis, events through RabbitMQ into MongoDB (history) and MySQL (counts). */
export function addNoteRoutes(app: FastifyInstance, { notes, revisions, counts }: NoteRoutesOptions): void {
  app.addSchema(note);
  const tags = ['notes'];

  app.post<{ Body: NoteContent }>(
    '/api/v1/notes',
    {
      schema: {
        tags,
        summary: 'Write a note',
        body: content,
        response: { 201: oneNote('The note'), 400: aProblem('Not a note'), 503: aProblem('No database') },
      },
    },
    async (request, reply) => {
      const created = await notes.create(request.body);
      return tagged(reply.code(201).header('location', `/api/v1/notes/${created.id}`), created);
    },
  );

  app.get<{ Querystring: { limit: number; after?: string } }>(
    '/api/v1/notes',
    {
      schema: {
        tags,
        summary: 'List the notes, the newest first',
        querystring: {
          type: 'object',
          additionalProperties: false,
          properties: {
            limit: { type: 'integer', minimum: 1, maximum: 100, default: 20 },
            after: { type: 'string', maxLength: 200, description: '`next` of the page before' },
          },
        },
        response: {
          200: {
            description: 'A page',
            type: 'object',
            properties: {
              notes: { type: 'array', items: { $ref: 'Note#' } },
              next: { type: 'string', nullable: true },
            },
          },
          400: aProblem('No such page'),
        },
      },
    },
    async (request, reply) => {
      const { limit, after } = request.query;
      const position = after === undefined ? undefined : parsePosition(after);
      if (after !== undefined && position === undefined)
        return sendProblem(request, reply, problem(400, '"after" is not the "next" of a page.', 'VALIDATION'));
      const page = await notes.list(limit + 1, position);
      const last = page.length > limit ? page[limit - 1] : undefined;
      return { notes: page.slice(0, limit), next: last === undefined ? null : positionOf(last) };
    },
  );

  app.get<{ Params: { id: string } }>(
    '/api/v1/notes/:id',
    {
      schema: {
        tags,
        summary: 'Read a note',
        params,
        response: { 200: oneNote('The note'), 404: aProblem('No such note') },
      },
    },
    async (request, reply) => {
      const found = await notes.read(request.params.id);
      if (found === undefined) return missing(request, reply);
      return tagged(reply.header('x-cache', found.from === 'cache' ? 'hit' : 'miss'), found.note);
    },
  );

  app.put<{ Params: { id: string }; Body: NoteContent; Headers: { 'if-match'?: string } }>(
    '/api/v1/notes/:id',
    {
      schema: {
        tags,
        summary: 'Write a note anew',
        params,
        headers: ifMatch,
        body: content,
        response: {
          200: oneNote('The note'),
          404: aProblem('No such note'),
          412: aProblem('It was changed meanwhile'),
        },
      },
    },
    async (request, reply) => {
      const replaced = await notes.replace(request.params.id, request.body, versionOf(request.headers['if-match']));
      if (replaced === 'missing') return missing(request, reply);
      return replaced === 'changed' ? changed(request, reply) : tagged(reply, replaced);
    },
  );

  app.delete<{ Params: { id: string }; Headers: { 'if-match'?: string } }>(
    '/api/v1/notes/:id',
    {
      schema: {
        tags,
        summary: 'Delete a note',
        params,
        headers: ifMatch,
        response: {
          204: { type: 'null', description: 'Done' },
          404: aProblem('No such note'),
          412: aProblem('It was changed meanwhile'),
        },
      },
    },
    async (request, reply) => {
      const outcome = await notes.delete(request.params.id, versionOf(request.headers['if-match']));
      if (outcome === 'missing') return missing(request, reply);
      return outcome === 'changed' ? changed(request, reply) : reply.code(204).send();
    },
  );

  app.get<{ Params: { id: string } }>(
    '/api/v1/notes/:id/history',
    {
      schema: {
        tags,
        summary: 'What happened to a note, also to one that was deleted',
        params,
        response: {
          200: {
            description: 'The oldest first',
            type: 'object',
            properties: { events: { type: 'array', items: event } },
          },
        },
      },
    },
    async (request) => ({ events: await revisions.of(request.params.id) }),
  );

  app.get(
    '/api/v1/statistics',
    {
      schema: {
        tags,
        summary: 'How often what happened',
        response: {
          200: {
            description: 'Counts',
            type: 'object',
            properties: { created: count, updated: count, deleted: count },
          },
        },
      },
    },
    async () => counts.read(),
  );
}

function tagged(reply: FastifyReply, of: Note): FastifyReply {
  return reply.header('etag', `"${String(of.version)}"`).send(of);
}

function versionOf(header: string | undefined): number | undefined {
  return header === undefined ? undefined : Number(header.slice(1, -1));
}

function missing(request: FastifyRequest, reply: FastifyReply): FastifyReply {
  return sendProblem(request, reply, problem(404, 'There is no note of this id.', 'NOTE_NOT_FOUND'));
}

function changed(request: FastifyRequest, reply: FastifyReply): FastifyReply {
  return sendProblem(request, reply, problem(412, 'The note was changed meanwhile: read it again.', 'NOTE_CHANGED'));
}

function positionOf({ createdAt, id: noteId }: Note): string {
  return Buffer.from(`${createdAt} ${noteId}`).toString('base64url');
}

function parsePosition(after: string): NotePosition | undefined {
  const [, createdAt, noteId] =
    /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) ([0-9a-f-]{36})$/.exec(Buffer.from(after, 'base64url').toString()) ?? [];
  return createdAt === undefined || noteId === undefined ? undefined : { createdAt, id: noteId };
}
