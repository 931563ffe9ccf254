import { STATUS_CODES } from 'node:http';
import { isDevstackError } from '@devstack-core/errors';
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';

/** RFC 9457: what went wrong, for programs (`type`, `status`, `code`) and people (`title`, `detail`). */
export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail?: string;
  /** The path that was asked for. */
  readonly instance?: string;
  readonly code?: string;
  readonly requestId?: string;
  /** What is wrong with the input, all at once. */
  readonly errors?: readonly { readonly pointer: string; readonly detail: string }[];
}

/** The schema of a problem, for OpenAPI. */
export const problemSchema: Readonly<Record<string, unknown>> = {
  $id: 'Problem',
  type: 'object',
  description: 'RFC 9457 problem details',
  required: ['type', 'title', 'status'],
  properties: {
    type: { type: 'string' },
    title: { type: 'string' },
    status: { type: 'integer' },
    detail: { type: 'string' },
    instance: { type: 'string' },
    code: { type: 'string' },
    requestId: { type: 'string' },
    errors: {
      type: 'array',
      items: {
        type: 'object',
        required: ['pointer', 'detail'],
        properties: { pointer: { type: 'string' }, detail: { type: 'string' } },
      },
    },
  },
};

const contentType = 'application/problem+json';

/** A problem whose type is of this service; without a code it is the one of its status alone (`about:blank`). */
export function problem(status: number, detail: string, code?: string): Problem {
  return {
    type: code === undefined ? 'about:blank' : `urn:devstack:problem:${code.toLowerCase().replaceAll('_', '-')}`,
    title: STATUS_CODES[status] ?? 'Error',
    status,
    detail,
    ...(code === undefined ? {} : { code }),
  };
}

/** Sends a problem. */
export function sendProblem(request: FastifyRequest, reply: FastifyReply, body: Problem): FastifyReply {
  if (body.status === 503) void reply.header('retry-after', '1');
  void reply.header('x-request-id', request.id);
  const complete: Problem = { ...body, instance: request.url.split('?')[0] ?? '/', requestId: request.id };
  // Serialized here: an answer's schema describes what went well.
  return reply
    .code(body.status)
    .type(contentType)
    .serializer((value: unknown) => JSON.stringify(value))
    .send(complete);
}

/** Makes every error of the service a problem: unknown paths, bad input, backends that are away, and what nobody thought of. */
export function answerWithProblems(app: FastifyInstance): void {
  app.setNotFoundHandler((request, reply) =>
    sendProblem(
      request,
      reply,
      problem(404, `There is nothing at ${request.method} ${request.url.split('?')[0] ?? ''}.`),
    ),
  );
  app.setErrorHandler((error: FastifyError, request, reply) => {
    const body = problemOf(error);
    if (body.status >= 500) request.log.error({ err: error }, 'a request failed');
    return sendProblem(request, reply, body);
  });
}

/** The answer to what is not even HTTP, written to the socket. */
export function malformedRequest(): string {
  const body = JSON.stringify(problem(400, 'The request is not valid HTTP.'));
  return `HTTP/1.1 400 Bad Request\r\ncontent-type: ${contentType}\r\ncontent-length: ${String(Buffer.byteLength(body))}\r\nconnection: close\r\n\r\n${body}`;
}

function problemOf(error: FastifyError): Problem {
  if (isDevstackError(error, 'BACKEND_UNAVAILABLE')) return problem(503, error.message, error.code);
  if (error.validation !== undefined)
    return {
      ...problem(400, 'The request does not have the form that this service takes.', 'VALIDATION'),
      errors: validationErrors(error),
    };
  const status = error.statusCode ?? 500;
  // The text of an unexpected error is for the log alone.
  return status >= 400 && status < 500
    ? problem(status, error.message)
    : problem(500, 'Something went wrong here. The log has more, under the id of this request.');
}

function validationErrors({
  validation = [],
  validationContext = 'body',
}: FastifyError): readonly { pointer: string; detail: string }[] {
  return validation.map(({ instancePath, message, params }) => {
    const extra = params['additionalProperty'] ?? params['missingProperty'];
    const pointer = `${instancePath}${typeof extra === 'string' ? `/${extra}` : ''}`;
    return { pointer: `#/${validationContext}${pointer}`, detail: message ?? 'is not valid' };
  });
}
