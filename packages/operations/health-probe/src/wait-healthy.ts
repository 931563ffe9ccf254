import { setTimeout as sleep } from 'node:timers/promises';
import { abortReason, DevstackError } from '@devstack-core/errors';
import { HealthProbeErrorCode } from './errors.ts';
import type { ProbeOptions, ProbeResult } from './options.ts';
import { probe } from './probe.ts';

/** What happens while services are waited for. */
export type WaitEvent =
  | {
      readonly type: 'waiting';
      readonly service: string;
      readonly attempt: number;
      readonly result: ProbeResult;
      readonly waitedMs: number;
      readonly remainingMs: number;
    }
  | {
      readonly type: 'healthy';
      readonly service: string;
      readonly attempt: number;
      readonly result: ProbeResult;
      readonly waitedMs: number;
    };

/** What to wait for, and how long. */
export interface WaitHealthyOptions {
  readonly probes: readonly ProbeOptions[];
  /** From now on; 120000 by default. */
  readonly deadlineMs?: number;
  readonly signal?: AbortSignal;
  readonly onEvent?: (event: WaitEvent) => void;
  /** Pause after a first failed probe, doubled after each up to a second; 100 by default. */
  readonly intervalMs?: number;
}

const longestPauseMs = 1000;

/**
 * Probes every service until it is healthy, each at its own pace. Resolves with the last results, in order. At the deadline it
 * throws `HEALTH_DEADLINE_EXCEEDED`, which names every service that is not healthy and why.
 */
export async function waitHealthy({
  probes,
  deadlineMs = 120_000,
  signal,
  onEvent,
  intervalMs = 100,
}: WaitHealthyOptions): Promise<readonly ProbeResult[]> {
  const start = performance.now();
  const results = await Promise.all(
    probes.map(async (one) => waitForOne({ one, start, deadlineMs, signal, onEvent, intervalMs })),
  );
  const unwell = results.filter((result) => !result.healthy);
  if (unwell.length === 0) return results;
  throw new DevstackError({
    code: HealthProbeErrorCode.deadlineExceeded,
    message: `Waited ${String(Math.round(deadlineMs / 1000))} s for ${unwell.map(({ service }) => service).join(', ')}. ${unwell.map(({ service, reason }) => `${service}: ${reason ?? 'not healthy'}`).join(' ')}`,
    hint: unwell.map(({ service, nextStep }) => `${service}: ${nextStep ?? ''}`).join(' '),
    details: { results },
  });
}

interface OneWait extends Required<Pick<WaitHealthyOptions, 'deadlineMs' | 'intervalMs'>> {
  readonly one: ProbeOptions;
  readonly start: number;
  readonly signal: AbortSignal | undefined;
  readonly onEvent: ((event: WaitEvent) => void) | undefined;
}

async function waitForOne({ one, start, deadlineMs, signal, onEvent, intervalMs }: OneWait): Promise<ProbeResult> {
  for (let attempt = 1, pauseMs = intervalMs; ; attempt += 1, pauseMs = Math.min(pauseMs * 2, longestPauseMs)) {
    const leftMs = Math.max(deadlineMs - (performance.now() - start), 1);
    const result = await probe({
      ...one,
      timeoutMs: Math.min(one.timeoutMs ?? 5000, leftMs),
      ...(signal === undefined ? {} : { signal }),
    });
    const waitedMs = Math.round(performance.now() - start);
    const { service } = result;
    if (result.healthy) {
      onEvent?.({ type: 'healthy', service, attempt, result, waitedMs });
      return result;
    }
    const remainingMs = Math.round(deadlineMs - waitedMs);
    onEvent?.({ type: 'waiting', service, attempt, result, waitedMs, remainingMs: Math.max(remainingMs, 0) });
    if (remainingMs <= 0) return result;
    await pause(Math.min(pauseMs, remainingMs), signal, service);
  }
}

async function pause(pauseMs: number, signal: AbortSignal | undefined, service: string): Promise<void> {
  try {
    await sleep(pauseMs, undefined, signal === undefined ? {} : { signal });
  } catch (error) {
    throw abortReason(signal, `Waiting for ${service}`) ?? error;
  }
}
