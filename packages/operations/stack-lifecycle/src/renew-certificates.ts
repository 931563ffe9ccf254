import { setTimeout as sleep } from 'node:timers/promises';
import { verifyServed } from '@devstack-core/certificates';
import type { ServiceModel } from '@devstack-core/compose-project';
import type { ContainerSummary } from '@devstack-core/docker-engine';
import { DevstackError, isDevstackError } from '@devstack-core/errors';
import { renewVaultCertificate } from './certificates.ts';
import { deliverLogins } from './deliver.ts';
import { StackErrorCode } from './errors.ts';
import type { OnEvent } from './events.ts';
import { waitUntilHealthy } from './health-step.ts';
import { probesFor } from './health.ts';
import { certificates, type ServedCertificate } from './served-certificates.ts';
import { withStackLease } from './stack-lease.ts';
import type { Stack } from './stack.ts';
import { until } from './timing.ts';
import { tlsModeOf } from './tls.ts';

/** What became of one service's certificate. */
export interface RenewedCertificate {
  readonly service: string;
  readonly outcome: 'renewed' | 'not-due' | 'finished' | 'failed';
  /** Why it was renewed, or why it was not. */
  readonly reason: string;
  readonly notAfter: string | null;
  /** How the server took it. */
  readonly taken: 'reload' | 'restart' | null;
  /** What to do about a failure. */
  readonly nextStep: string | null;
}

/** What `renewCertificates` does. */
export interface RenewCertificatesOptions {
  readonly services?: readonly ServiceModel[] | undefined;
  /** Also those that are not due. */
  readonly force?: boolean;
  readonly onEvent: OnEvent;
  readonly signal?: AbortSignal | undefined;
}

const program = ['/usr/local/bin/node', '/opt/devstack/container-init.js', 'renew'] as const;

/**
 * Renews what is due, one service after the other: each container has its own issued with its own login. A server that can takes it
 * without dropping a connection, the others are restarted. A failure is a value: the old certificate stays in place and the others
 * are still renewed. Throws LEASE_HELD.
 */
export async function renewCertificates(
  stack: Stack,
  options: RenewCertificatesOptions,
): Promise<readonly RenewedCertificate[]> {
  return withStackLease(stack, { owner: 'devstack certs renew', signal: options.signal }, () =>
    renewEach(stack, options),
  );
}

/** The same for a caller that holds the stack's lease already. */
export async function renewEach(
  stack: Stack,
  options: RenewCertificatesOptions,
): Promise<readonly RenewedCertificate[]> {
  const { services = stack.model.services, onEvent, signal } = options;
  // A service trusts what was delivered to it: after an exchange of roots that comes first.
  await deliverLogins(stack, services, { onEvent });
  const containers = await (await stack.engine()).listContainers({ project: stack.project.id });
  const results: RenewedCertificate[] = [];
  for (const service of services.filter((one) => tlsModeOf(one) !== 'false')) {
    signal?.throwIfAborted();
    const container = containers.find((one) => one.service === service.name);
    if (container === undefined) continue;
    onEvent({ type: 'progress', step: 'certificates', text: service.name });
    results.push(await renewOne(stack, service, container, options));
  }
  return results;
}

async function renewOne(
  stack: Stack,
  service: ServiceModel,
  container: ContainerSummary,
  options: RenewCertificatesOptions,
): Promise<RenewedCertificate> {
  try {
    if (service.name === 'vault') return await renewVault(stack, options);
    if (service.engine === 'reference-api') return await renewByItself(stack, service, container, options);
    return await renewInside(stack, service, container, options);
  } catch (error) {
    if (!isDevstackError(error) || error.code === 'INTERRUPTED') throw error;
    return {
      service: service.name,
      outcome: 'failed',
      reason: error.message,
      notAfter: null,
      taken: null,
      nextStep: error.hint ?? null,
    };
  }
}

async function renewInside(
  stack: Stack,
  service: ServiceModel,
  container: ContainerSummary,
  options: RenewCertificatesOptions,
): Promise<RenewedCertificate> {
  const engine = await stack.engine();
  const { signal } = options;
  const { exitCode, stdout, stderr } = await engine.exec(
    container.id,
    [...program, ...(options.force === true ? ['--force'] : [])],
    { timeoutMs: 60_000, ...(signal === undefined ? {} : { signal }) },
  );
  if (exitCode !== 0) throw notRenewed(service, stderr);
  const report = JSON.parse(stdout) as {
    outcome: 'renewed' | 'not-due' | 'finished';
    reason: string | null;
    notAfter: string;
    restart: boolean;
  };
  const isChanged = report.outcome !== 'not-due';
  if (report.restart) await restart(stack, service, options);
  return {
    service: service.name,
    outcome: report.outcome,
    reason: report.reason ?? (isChanged ? 'a renewal was cut off before' : 'it is not due'),
    notAfter: report.notAfter,
    taken: isChanged ? (report.restart ? 'restart' : 'reload') : null,
    nextStep: null,
  };
}

/** It keeps its certificate in memory and renews it by itself; SIGHUP asks for one now. */
async function renewByItself(
  stack: Stack,
  service: ServiceModel,
  container: ContainerSummary,
  { force = false, signal }: RenewCertificatesOptions,
): Promise<RenewedCertificate> {
  const look = async (): Promise<ServedCertificate | undefined> =>
    (await certificates(stack, { services: [service] })).services[0];
  const before = await look();
  let after = before;
  if (force) {
    await (await stack.engine()).killContainer(container.id, 'SIGHUP');
    after = await until({
      what: `the new certificate of ${service.name}`,
      signal,
      everyMs: 200,
      deadlineMs: 20_000,
      attempt: async () => {
        const now = await look();
        return now?.serial === null || now?.serial === before?.serial ? undefined : now;
      },
      expired: () => Promise.resolve(notRenewed(service, 'it still presents the old one')),
    });
  }
  return {
    service: service.name,
    outcome: force ? 'renewed' : 'not-due',
    reason: force ? 'forced' : 'it renews by itself',
    notAfter: after?.notAfter ?? null,
    taken: force ? 'reload' : null,
    nextStep: null,
  };
}

async function renewVault(stack: Stack, options: RenewCertificatesOptions): Promise<RenewedCertificate> {
  const renewed = await renewVaultCertificate(stack, { force: options.force === true });
  if (renewed.changed) {
    const { hostname, port } = new URL(stack.vaultAddress);
    await verifyServed({
      host: hostname,
      port: Number(port),
      servername: 'vault',
      ca: stack.caBundle() ?? '',
      serial: renewed.serial,
    });
  }
  return {
    service: 'vault',
    outcome: renewed.changed ? 'renewed' : 'not-due',
    reason: renewed.changed ? (options.force === true ? 'forced' : 'due') : 'it is not due',
    notAfter: renewed.notAfter.toISOString(),
    taken: renewed.changed ? 'reload' : null,
    nextStep: null,
  };
}

async function restart(
  stack: Stack,
  service: ServiceModel,
  { onEvent, signal }: RenewCertificatesOptions,
): Promise<void> {
  await stack.compose.restart({
    services: [service.name],
    noDeps: true,
    ...(signal === undefined ? {} : { signal }),
  });
  await waitUntilHealthy(stack, [service], {
    probes: () => probesFor(stack, [service]),
    onEvent,
    signal,
    deadlineMs: 120_000,
  });
}

// container-init says on stderr what failed and what to do: `CODE: message`, then `next: …`.
function notRenewed(service: ServiceModel, stderr: string): DevstackError {
  const lines = stderr.split('\n').map((line) => line.replace(/^container-init: /, ''));
  const next = lines.findIndex((line) => line.startsWith('next: '));
  const message = next > 0 ? lines[next - 1] : lines.findLast((line) => line.trim() !== '');
  return new DevstackError({
    code: StackErrorCode.certificateNotRenewed,
    message: `The certificate of ${service.name} was not renewed: ${message ?? 'no reason was given'}`,
    hint: next >= 0 ? (lines[next]?.slice('next: '.length) ?? '') : `Look at: devstack logs ${service.name}`,
    details: { service: service.name },
  });
}

/** What `watchCertificates` does. */
export interface WatchCertificatesOptions extends Pick<RenewCertificatesOptions, 'services' | 'onEvent'> {
  /** Ends the watch. */
  readonly signal: AbortSignal;
  /** The longest time between two looks; an hour by default. */
  readonly intervalMs?: number;
  /** Each look: what was renewed, and when the next one is. */
  readonly onLook: (renewed: readonly RenewedCertificate[], nextAt: Date) => void;
}

/**
 * Renews what is due until the signal ends it. A failure is told and tried again, after a minute or sooner where less time is left; so is a
 * look that fails, except the first one, which throws: whoever starts a watch shall see at once that there is nothing to watch.
 */
export async function watchCertificates(stack: Stack, options: WatchCertificatesOptions): Promise<void> {
  const { signal, onEvent } = options;
  // Node's timers end at once where they are to wait for weeks.
  const intervalMs = Math.min(options.intervalMs ?? 3_600_000, 86_400_000);
  const isEnded = (): boolean => signal.aborted;
  for (let isFirst = true; !isEnded(); isFirst = false) {
    let pauseMs = Math.min(intervalMs, retryMs);
    try {
      pauseMs = await look(stack, options, intervalMs);
    } catch (error) {
      if (isFirst || isEnded() || !isDevstackError(error)) throw error;
      // An engine that is restarted, another command that holds the lease: the watch outlives them.
      onEvent({ type: 'warning', code: error.code, text: error.message, hint: error.hint ?? '' });
    }
    await sleep(pauseMs, undefined, { signal }).catch(() => undefined);
  }
}

const retryMs = 60_000;

/** Renews what is due, and gives the time until the next look. */
async function look(stack: Stack, options: WatchCertificatesOptions, intervalMs: number): Promise<number> {
  const { signal, onEvent } = options;
  const selected = options.services === undefined ? {} : { services: options.services };
  const before = await certificates(stack, selected);
  const now = Date.now();
  const due = before.services.filter((one) => one.renewalAt === null || Date.parse(one.renewalAt) <= now);
  const services = due.map((one) => stack.model.service(one.service));
  const results = due.length === 0 ? [] : await renewCertificates(stack, { services, onEvent, signal });
  const after = due.length === 0 ? before : await certificates(stack, selected);
  const isFailing = results.some((one) => one.outcome === 'failed');
  const pauses = after.services.map((one) => {
    const at = one.renewalAt === null ? 0 : Date.parse(one.renewalAt);
    const left = one.notAfter === null ? 0 : Date.parse(one.notAfter) - Date.now();
    return at > Date.now() ? at - Date.now() : Math.min(retryMs, left / 5);
  });
  const pauseMs = Math.max(1000, Math.min(intervalMs, isFailing ? retryMs : intervalMs, ...pauses));
  options.onLook(results, new Date(Date.now() + pauseMs));
  return pauseMs;
}
