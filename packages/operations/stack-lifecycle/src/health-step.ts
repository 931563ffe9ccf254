import type { ServiceModel } from '@devstack-core/compose-project';
import { DevstackError } from '@devstack-core/errors';
import { probe, type ProbeResult } from '@devstack-core/health-probe';
import { containerFailure } from './container-failure.ts';
import { applyPassword } from './apply-password.ts';
import { StackErrorCode } from './errors.ts';
import type { OnEvent } from './events.ts';
import type { ServiceProbe } from './health.ts';
import type { Stack } from './stack.ts';
import type { StepOutcome } from './steps.ts';
import { until } from './timing.ts';

/** Probes every service until each has answered well once. Throws NOT_HEALTHY at once for a container that ended, else at the deadline. */
export async function waitUntilHealthy(
  stack: Stack,
  services: readonly ServiceModel[],
  options: {
    readonly probes: () => Promise<readonly ServiceProbe[]>;
    readonly onEvent: OnEvent;
    readonly signal?: AbortSignal | undefined;
    readonly deadlineMs: number;
  },
): Promise<StepOutcome<readonly ProbeResult[]>> {
  const { onEvent, signal, deadlineMs } = options;
  const started = performance.now();
  const results = new Map<string, ProbeResult>();
  const restarted = new Set<string>();
  let open: readonly ServiceProbe[] = await options.probes();
  const look = async (one: ServiceProbe): Promise<boolean> => {
    const result = await probe({ timeoutMs: 5_000, ...one, ...(signal === undefined ? {} : { signal }) });
    results.set(one.service, result);
    if (result.healthy) {
      onEvent({ type: 'service-healthy', service: one.service, elapsedMs: performance.now() - started });
    }
    return result.healthy;
  };
  const value = await until({
    what: 'health',
    signal,
    deadlineMs,
    everyMs: 250,
    attempt: async () => {
      const healthy = await Promise.all(open.map(look));
      open = open.filter((_, index) => healthy[index] !== true);
      if (open.length === 0) return services.flatMap((service) => results.get(service.name) ?? []);
      const failed = signal?.aborted === true ? undefined : await containerFailure(stack, services);
      if (failed !== undefined) throw failed;
      if (performance.now() - started > refusedForMs) {
        for (const one of open) {
          if (results.get(one.service)?.code === 'AUTHENTICATION_FAILED' && !restarted.has(one.service)) {
            restarted.add(one.service);
            await applyPassword(stack, [one.service], { onEvent, signal });
          }
        }
      }
      return undefined;
    },
    onWait: (elapsedMs) => {
      onEvent({ type: 'waiting', step: 'healthy', for: open.map((one) => one.service), elapsedMs, deadlineMs });
    },
    expired: () =>
      notHealthy(
        open.flatMap((one) => results.get(one.service) ?? []),
        deadlineMs,
      ),
  });
  return { changed: false, detail: `${String(value.length)} services healthy by protocol`, value };
}

// A server that is still starting may refuse a password for a moment.
const refusedForMs = 5_000;

function notHealthy(results: readonly ProbeResult[], deadlineMs: number): DevstackError {
  const lines = results.map(
    (result) => `${result.service}: tried ${result.tried ?? result.checked}; ${result.reason ?? 'no answer'}`,
  );
  return new DevstackError({
    code: StackErrorCode.notHealthy,
    message: `Not healthy after ${String(Math.round(deadlineMs / 1000))} s: ${lines.join('; ')}`,
    hint: results[0]?.nextStep ?? 'Run: devstack doctor',
    details: { services: results },
  });
}
