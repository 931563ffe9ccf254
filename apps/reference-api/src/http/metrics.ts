import type { FastifyInstance } from 'fastify';
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';

/** The metrics of the service, in Prometheus' text format at `/metrics`. */
export interface Metrics {
  readonly registry: Registry;
  /** What a check of a backend gave. */
  backend(name: string, isConnected: boolean, latencyMs: number): void;
  /** When the Vault token ends, in seconds of the epoch. */
  tokenExpiry(seconds: number): void;
  /** When the certificate that is served ends, in seconds of the epoch. */
  certificate(notAfterSeconds: number): void;
  /** A certificate was asked for. */
  renewal(isRenewed: boolean): void;
  draining(isDraining: boolean): void;
}

/** A registry of its own, so that two services in one process (tests) do not meet. */
export function createMetrics(): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const registers = [registry];
  const up = new Gauge({
    name: 'devstack_backend_up',
    help: 'Whether the last check of a backend succeeded',
    labelNames: ['backend'],
    registers,
  });
  const latency = new Gauge({
    name: 'devstack_backend_check_seconds',
    help: 'How long the last check of a backend took',
    labelNames: ['backend'],
    registers,
  });
  const expiry = new Gauge({
    name: 'devstack_vault_token_expiry_timestamp_seconds',
    help: 'When the Vault token of this service ends',
    registers,
  });
  // Named and labelled as what "devstack certs" writes about every other service.
  const certificate = new Gauge({
    name: 'devstack_certificate_not_after_seconds',
    help: 'When the certificate ends, in seconds since 1970.',
    labelNames: ['service', 'kind'],
    registers,
  });
  const renewals = new Counter({
    name: 'devstack_certificate_renewals_total',
    help: 'How often a certificate was asked for, by what came of it',
    labelNames: ['outcome'],
    registers,
  });
  const drain = new Gauge({ name: 'devstack_draining', help: 'Whether the service takes no new work', registers });
  drain.set(0);
  return {
    registry,
    backend(name, isConnected, latencyMs) {
      up.set({ backend: name }, isConnected ? 1 : 0);
      latency.set({ backend: name }, latencyMs / 1000);
    },
    tokenExpiry: (seconds) => {
      expiry.set(seconds);
    },
    certificate: (notAfterSeconds) => {
      certificate.set({ service: 'reference-api', kind: 'leaf' }, Math.floor(notAfterSeconds));
    },
    renewal: (isRenewed) => {
      renewals.inc({ outcome: isRenewed ? 'renewed' : 'failed' });
    },
    draining: (isDraining) => {
      drain.set(isDraining ? 1 : 0);
    },
  };
}

/** Counts and times every request by method, route and status; the route is its pattern, so ids make no series of their own. */
export function measureRequests(app: FastifyInstance, { registry }: Metrics): void {
  const labelNames = ['method', 'route', 'status'] as const;
  const requests = new Counter({
    name: 'http_requests_total',
    help: 'Requests answered',
    labelNames,
    registers: [registry],
  });
  const duration = new Histogram({
    name: 'http_request_duration_seconds',
    help: 'How long an answer took',
    labelNames,
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
    registers: [registry],
  });
  app.addHook('onResponse', (request, reply, done) => {
    const labels = {
      method: request.method,
      route: request.routeOptions.url ?? 'unknown',
      status: String(reply.statusCode),
    };
    requests.inc(labels);
    duration.observe(labels, reply.elapsedTime / 1000);
    done();
  });
}
