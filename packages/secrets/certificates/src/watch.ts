import { setTimeout as timeout } from 'node:timers/promises';
import { isDevstackError } from '@devstack-core/errors';
import { dayMs, hourMs, minuteMs, secondMs } from './duration.ts';
import { renewalTime, renewBeforeMs } from './needs-renewal.ts';
import { renew, type RenewalReason, type RenewOptions } from './renew.ts';

// Node's timers count to 2^31 ms; longer ones end at once.
const longestSleepMs = 20 * dayMs;

/** A certificate to keep: what `renew` takes, under a name for events. */
export interface WatchedCertificate extends Omit<RenewOptions, 'now' | 'signal' | 'force'> {
  readonly name: string;
}

export type WatchEvent =
  | {
      readonly type: 'checked' | 'renewed';
      readonly name: string;
      readonly reason: RenewalReason | undefined;
      readonly serial: string;
      readonly notAfter: Date;
      readonly nextAt: Date;
    }
  | { readonly type: 'failed'; readonly name: string; readonly error: unknown; readonly nextAt: Date };

export interface WatchOptions {
  readonly certificates: readonly WatchedCertificate[];
  /** Ends the loop; a renewal that is under way is brought to its end first. */
  readonly signal?: AbortSignal;
  /** The longest time between two looks at one certificate. Default an hour. */
  readonly intervalMs?: number;
  readonly onEvent?: (event: WatchEvent) => void;
  readonly now?: () => Date;
  /** Resolves after that time, or when the signal is aborted. */
  readonly sleep?: (ms: number, signal: AbortSignal | undefined) => Promise<void>;
  /** From 0 to 1. */
  readonly random?: () => number;
}

/**
 * Renews each certificate when it is due, until the signal is aborted. Certificates that were issued together are not renewed together: each
 * waits up to a tenth of its window more. After a failure it is tried again, sooner where less time is left. One at a time, as they share
 * a machine; nothing is thrown, failures are events.
 */
export async function watch(options: WatchOptions): Promise<void> {
  const { certificates, signal, intervalMs = hourMs, now = () => new Date() } = options;
  const sleep = options.sleep ?? defaultSleep;
  const nextAt = new Map(certificates.map((certificate) => [certificate.name, now().getTime()]));
  const failures = new Map<string, number>();
  const isAborted = (): boolean => signal?.aborted === true;
  while (!isAborted() && certificates.length > 0) {
    for (const certificate of certificates) {
      if (isAborted()) return;
      const { name } = certificate;
      if ((nextAt.get(name) ?? 0) > now().getTime()) continue;
      const event = await look(certificate, { ...options, now, intervalMs }, failures);
      nextAt.set(name, event.nextAt.getTime());
      options.onEvent?.(event);
    }
    const pauseMs = Math.min(...nextAt.values()) - now().getTime();
    // Never longer than the interval: a clock that was set must not leave a certificate alone for days.
    if (!isAborted()) await sleep(Math.min(Math.max(pauseMs, 50), intervalMs, longestSleepMs), signal);
  }
}

async function look(
  certificate: WatchedCertificate,
  options: WatchOptions & { readonly now: () => Date; readonly intervalMs: number },
  failures: Map<string, number>,
): Promise<WatchEvent> {
  const { now, intervalMs, random = Math.random } = options;
  const { name, beforeMs } = certificate;
  try {
    const { outcome, reason, installed } = await renew({ ...certificate, now });
    failures.delete(name);
    const jitterMs = random() * Math.min(renewBeforeMs(installed, beforeMs) / 10, hourMs);
    const dueMs = renewalTime(installed, beforeMs).getTime() + jitterMs;
    const nextAt = new Date(Math.min(now().getTime() + intervalMs, dueMs));
    const type = outcome === 'not-due' ? 'checked' : 'renewed';
    return { type, name, reason, serial: installed.serial, notAfter: installed.notAfter, nextAt };
  } catch (error) {
    const count = (failures.get(name) ?? 0) + 1;
    failures.set(name, count);
    const pauseMs = Math.min(minuteMs * 2 ** Math.min(count - 1, 10), intervalMs, leftMs(error, now()) / 5);
    const nextAt = new Date(now().getTime() + Math.max(secondMs, pauseMs * (0.75 + random() / 2)));
    return { type: 'failed', name, error, nextAt };
  }
}

/** How long the old certificate still lives, as far as the error says. */
function leftMs(error: unknown, now: Date): number {
  const end = isDevstackError(error) ? error.details['oldNotAfter'] : undefined;
  return typeof end === 'string' ? Math.max(0, Date.parse(end) - now.getTime()) : Infinity;
}

async function defaultSleep(ms: number, signal: AbortSignal | undefined): Promise<void> {
  await timeout(ms, undefined, signal === undefined ? {} : { signal }).catch(() => undefined);
}
