import { randomUUID } from 'node:crypto';
import swagger from '@fastify/swagger';
import { fastify, type FastifyInstance } from 'fastify';
import type { LogOutput } from '../logger.ts';
import { measureRequests } from './metrics.ts';
import { addNoteRoutes, type NoteRoutesOptions } from './note-routes.ts';
import { answerWithProblems, malformedRequest, problem, problemSchema, sendProblem } from './problem.ts';
import { addStatusRoutes, type StatusRoutesOptions } from './status-routes.ts';

/** What the HTTP side is made of. */
export interface AppOptions {
  readonly log?: LogOutput['options'];
  readonly notes: NoteRoutesOptions;
  readonly status: StatusRoutesOptions;
}

/** Fastify before it has routes: what is built later (stores, health) may log through it. */
export function createServer(log: LogOutput['options'] | undefined): FastifyInstance {
  const app = fastify({
    logger: log ?? false,
    // Bigger than any note.
    bodyLimit: 128 * 1024,
    requestTimeout: 30_000,
    return503OnClosing: false,
    forceCloseConnections: 'idle',
    // An id that a proxy gave is kept, where it is one.
    genReqId: ({ headers: { 'x-request-id': given } }) =>
      typeof given === 'string' && /^[\w.-]{1,64}$/.test(given) ? given : randomUUID(),
    ajv: { customOptions: { allErrors: true, removeAdditional: false, coerceTypes: true } },
    // A path that cannot be decoded never gets to a handler.
    frameworkErrors: (error, request, reply) => {
      void sendProblem(request, reply, problem(error.statusCode ?? 400, 'The path of the request is not valid.'));
    },
    clientErrorHandler(_error, socket) {
      if (socket.writable) socket.end(malformedRequest());
      else socket.destroy();
    },
  });
  app.removeContentTypeParser('text/plain');
  return app;
}

/** Adds everything that is served. */
export async function addRoutes(
  app: FastifyInstance,
  { notes, status }: Omit<AppOptions, 'log'>,
): Promise<FastifyInstance> {
  answerWithProblems(app);
  measureRequests(app, status.metrics);
  app.addHook('onSend', async (request, reply) => {
    reply.header('x-request-id', request.id);
    reply.header('cache-control', 'no-store');
    reply.header('x-content-type-options', 'nosniff');
    // Whoever keeps the connection open would send the next request here, too.
    if (status.isDraining()) reply.header('connection', 'close');
  });
  app.addSchema(problemSchema);
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'DevStack reference API',
        version: '1.0.0',
        description: 'Notes, kept by the services of the stack. Errors are RFC 9457 problems.',
      },
    },
    refResolver: {
      buildLocalReference: (schema, _baseUri, _fragment, index) =>
        typeof schema.$id === 'string' ? schema.$id : `schema-${String(index)}`,
    },
  });
  await app.register((routes, _options, done) => {
    addStatusRoutes(routes, status);
    addNoteRoutes(routes, notes);
    routes.get('/openapi.json', { logLevel: 'warn', schema: { hide: true } }, () => app.swagger());
    done();
  });
  await app.ready();
  return app;
}
