import type { FastifyInstance } from 'fastify';
import type { Health } from '../health.ts';
import type { Metrics } from './metrics.ts';

/** What the routes for whoever runs the service show. */
export interface StatusRoutesOptions {
  readonly health: Health;
  readonly metrics: Metrics;
  readonly isDraining: () => boolean;
  /** The services without which no request can be answered. What is only a cache or comes later may be away. */
  readonly required: readonly string[];
}

const services = { type: 'object', additionalProperties: { type: 'string', enum: ['connected', 'disconnected'] } };
const report = {
  type: 'object',
  properties: {
    status: { type: 'string', enum: ['healthy', 'unhealthy'] },
    uptime: { type: 'number', description: 'Seconds' },
    timestamp: { type: 'string' },
    services,
    details: {
      type: 'object',
      additionalProperties: {
        type: 'object',
        properties: { latencyMs: { type: 'number' }, reason: { type: 'string' } },
      },
    },
  },
};
const readiness = {
  type: 'object',
  properties: { status: { type: 'string', enum: ['ready', 'draining', 'unhealthy'] }, services },
};

/** `/health` says how everything is, `/ready` whether to send requests here, `/metrics` is for Prometheus. */
export function addStatusRoutes(
  app: FastifyInstance,
  { health, metrics, isDraining, required }: StatusRoutesOptions,
): void {
  const tags = ['status'];
  const quiet = { logLevel: 'warn' as const };
  app.get(
    '/health',
    {
      ...quiet,
      schema: {
        tags,
        summary: 'Health of the service and of all that it needs',
        response: { 200: { description: 'Healthy', ...report }, 503: { description: 'Something is away', ...report } },
      },
    },
    async (_request, reply) => {
      const answer = await health.report();
      return reply.code(answer.status === 'healthy' ? 200 : 503).send(answer);
    },
  );
  app.get(
    '/ready',
    {
      ...quiet,
      schema: {
        tags,
        summary: 'Whether to send requests here',
        response: { 200: { description: 'Yes', ...readiness }, 503: { description: 'No', ...readiness } },
      },
    },
    async (_request, reply) => {
      if (isDraining()) return reply.code(503).send({ status: 'draining', services: {} });
      const { services: state } = await health.report();
      const isReady = required.every((name) => state[name] === 'connected');
      return reply.code(isReady ? 200 : 503).send({ status: isReady ? 'ready' : 'unhealthy', services: state });
    },
  );
  app.get(
    '/metrics',
    { ...quiet, schema: { tags, summary: "Metrics in Prometheus' text format" } },
    async (_request, reply) => reply.type(metrics.registry.contentType).send(await metrics.registry.metrics()),
  );
}
