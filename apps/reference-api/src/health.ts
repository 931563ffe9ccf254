import { setTimeout as delay } from 'node:timers/promises';
import { DevstackError, isDevstackError } from '@devstack-core/errors';
import { ReferenceApiErrorCode } from './errors.ts';
import type { Metrics } from './http/metrics.ts';
import type { Logger } from './logger.ts';

/** Something whose service is needed. */
export interface Checked {
  readonly name: string;
  /** Throws where it does not serve. */
  check(): Promise<void> | void;
}

/** What `/health` says. */
export interface HealthReport {
  readonly status: 'healthy' | 'unhealthy';
  /** Seconds since the start. */
  readonly uptime: number;
  readonly timestamp: string;
  readonly services: Readonly<Record<string, 'connected' | 'disconnected'>>;
  readonly details: Readonly<Record<string, { readonly latencyMs: number; readonly reason?: string }>>;
}

/** How the health is found out. */
export interface HealthOptions {
  readonly checked: readonly Checked[];
  readonly metrics: Metrics;
  /** Told when a service comes and goes, with the whole reason. */
  readonly logger: Logger;
  /** Whoever asks within that time gets the last answer, so that asking often costs the backends nothing. 1 s unless given. */
  readonly maxAgeMs?: number;
  /** How long one check may take; 3 s unless given. */
  readonly timeoutMs?: number;
}

/** The health of the service: that of everything it needs, each asked by its own protocol. */
export class Health {
  readonly #options: HealthOptions;
  readonly #startedAt: number = performance.now();
  readonly #away = new Set<string>();
  #last: { readonly at: number; readonly report: Promise<HealthReport> } | undefined;

  constructor(options: HealthOptions) {
    this.#options = options;
  }

  report(): Promise<HealthReport> {
    const now = performance.now();
    if (this.#last === undefined || now - this.#last.at > (this.#options.maxAgeMs ?? 1000))
      this.#last = { at: now, report: this.#ask() };
    return this.#last.report;
  }

  async #ask(): Promise<HealthReport> {
    const answers = await Promise.all(this.#options.checked.map((checked) => this.#check(checked)));
    for (const { name, reason, latencyMs } of answers)
      this.#options.metrics.backend(name, reason === undefined, latencyMs);
    return {
      status: answers.every(({ reason }) => reason === undefined) ? 'healthy' : 'unhealthy',
      uptime: Math.round((performance.now() - this.#startedAt) / 10) / 100,
      timestamp: new Date().toISOString(),
      services: Object.fromEntries(
        answers.map(({ name, reason }) => [name, reason === undefined ? 'connected' : 'disconnected']),
      ),
      details: Object.fromEntries(answers.map(({ name, ...detail }) => [name, detail])),
    };
  }

  async #check(
    checked: Checked,
  ): Promise<{ readonly name: string; readonly latencyMs: number; readonly reason?: string }> {
    const startedAt = performance.now();
    const timeoutMs = this.#options.timeoutMs ?? 3000;
    const timer = new AbortController();
    const late = delay(timeoutMs, { error: lateAnswer(timeoutMs) }, { signal: timer.signal, ref: false }).catch(
      () => undefined,
    );
    const failure = await Promise.race([ask(checked), late]);
    timer.abort();
    const latencyMs = Math.round((performance.now() - startedAt) * 100) / 100;
    this.#tell(checked.name, failure);
    return { name: checked.name, latencyMs, ...(failure === undefined ? {} : { reason: reasonOf(failure.error) }) };
  }

  // Once per change, not once per question.
  #tell(name: string, failure: Failure | undefined): void {
    const wasAway = this.#away.has(name);
    if (failure === undefined && wasAway) {
      this.#away.delete(name);
      this.#options.logger.info({ backend: name }, 'a service is back');
    } else if (failure !== undefined && !wasAway) {
      this.#away.add(name);
      this.#options.logger.warn({ backend: name, err: failure.error }, 'a service is away');
    }
  }
}

interface Failure {
  readonly error: unknown;
}

async function ask(checked: Checked): Promise<Failure | undefined> {
  try {
    await checked.check();
    return undefined;
  } catch (error) {
    return { error };
  }
}

function lateAnswer(timeoutMs: number): DevstackError {
  return new DevstackError({
    code: ReferenceApiErrorCode.backendUnavailable,
    message: `There was no answer within ${String(timeoutMs)} ms.`,
    details: { reason: 'TIMED_OUT' },
  });
}

// Codes only: whoever may ask for the health need not learn users and addresses.
function reasonOf(error: unknown): string {
  if (!isDevstackError(error)) return 'FAILED';
  const reason = error.details['reason'];
  return typeof reason === 'string' ? reason : error.code;
}
