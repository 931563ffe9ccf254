import type { Writable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { redactStream, type SecretRegistry } from '@devstack-core/redaction';
import type { FastifyBaseLogger, FastifyServerOptions } from 'fastify';
import type { LogLevel } from './settings.ts';

/** What the parts of the service log to. */
export type Logger = Pick<FastifyBaseLogger, 'debug' | 'info' | 'warn' | 'error'>;

/** The log of the service: JSON lines, masked before they leave. */
export interface LogOutput {
  /** For Fastify, whose own logger (pino) writes the lines. */
  readonly options: Exclude<NonNullable<FastifyServerOptions['logger']>, boolean>;
  /** Resolves when everything that was logged is written. */
  end(): Promise<void>;
}

/** One line per event to `target`, with every secret of the registry masked in every encoding. */
export function createLogOutput(registry: SecretRegistry, level: LogLevel, target: Writable): LogOutput {
  const masked = redactStream(registry);
  masked.pipe(target, { end: false });
  return {
    options: {
      level,
      stream: masked,
      base: { service: 'reference-api' },
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label: string) => ({ level: label }) },
      serializers: {
        // No headers, and no query: both may hold what is nobody's business.
        req: ({ method, url }: { method: string; url: string }) => ({ method, path: url.split('?')[0] }),
        res: ({ statusCode }) => ({ statusCode }),
        err: serializeError,
      },
    },
    async end() {
      masked.end();
      await finished(masked);
    },
  };
}

// Not pino's own: it writes every own property of an error, and those of its causes.
function serializeError(error: unknown): { type: string; message: string; code?: string; stack: string } {
  if (!(error instanceof Error)) return { type: typeof error, message: String(error), stack: '' };
  return {
    type: error.name,
    message: error.message,
    ...('code' in error && typeof error.code === 'string' ? { code: error.code } : {}),
    stack: error.stack ?? '',
  };
}
