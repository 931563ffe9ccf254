import { join } from 'node:path';
import type { ServiceModel } from '@devstack-core/compose-project';
import type { ContainerSummary } from '@devstack-core/docker-engine';
import { acquireLease, ensurePrivateDirectory } from '@devstack-core/durable-files';
import { DevstackError, abortReason, isDevstackError } from '@devstack-core/errors';
import { probe, type ProbeResult } from '@devstack-core/health-probe';
import { readServiceSecret } from '@devstack-core/service-secrets';
import { Secret } from '@devstack-core/redaction';
import { deliverLogins } from './deliver.ts';
import { StackErrorCode } from './errors.ts';
import type { OnEvent, PlannedService } from './events.ts';
import { probesFor, type ServiceProbe } from './health.ts';
import { ensureImages } from './images.ts';
import { planServices } from './plan.ts';
import { assertPortsFree } from './preflight.ts';
import { ensureRedisCluster } from './redis-cluster.ts';
import { selectServices, type Stack } from './stack.ts';
import { StepRunner } from './steps.ts';
import { bootstrap, openVault, operatorSession, startVault } from './vault-steps.ts';

/** What to bring up. */
export interface UpOptions {
  readonly profile?: string | undefined;
  readonly services?: readonly string[] | undefined;
  readonly onEvent?: OnEvent;
  readonly signal?: AbortSignal | undefined;
  /** How long all services together may take to become healthy, once started. */
  readonly deadlineMs?: number;
}

/** What is up. */
export interface UpResult {
  readonly project: string;
  readonly profile: string;
  readonly changed: boolean;
  readonly services: readonly ProbeResult[];
  readonly durationMs: number;
}

/**
 * Brings the services of a profile up: images, Vault, logins, containers, health by protocol. Converges: what is right already is
 * not touched, and a run that was killed is simply repeated. One `up` at a time for a project (LEASE_HELD).
 * Throws PORT_TAKEN, IMAGE_BUILD_FAILED, NOT_HEALTHY, VAULT_*, DOCKER_*, INTERRUPTED.
 */
export async function up(stack: Stack, options: UpOptions = {}): Promise<UpResult> {
  const started = performance.now();
  const onEvent = options.onEvent ?? ((): void => undefined);
  const { signal } = options;
  await ensurePrivateDirectory(stack.project.configDirectory);
  await ensurePrivateDirectory(stack.directories.state);
  await using _lease = await acquireLease({ path: join(stack.directories.state, 'stack.lock'), owner: 'devstack up', ...(signal === undefined ? {} : { signal }) });
  await using steps = await StepRunner.open(stack, 'up', onEvent, signal);

  const before = await (await stack.engine()).listContainers({ project: stack.project.id, all: true });
  const services = withClusterPeers(stack, selectServices(stack.model, options), before, onEvent);
  const profile = options.services === undefined || options.services.length === 0 ? (options.profile ?? 'standard') : 'custom';
  const planned = await planServices(stack, services, before);
  onEvent({ type: 'plan', profile, services: planned, resumedAfter: steps.resumedAfter });

  await steps.run('ports', 'Check ports', async () => {
    await assertPortsFree(stack, services);
    return { changed: false, detail: `${String(services.flatMap((service) => service.ports).length)} ports`, value: undefined };
  });
  await steps.run('images', 'Images', async () => {
    const made = await ensureImages(stack, services, { onEvent, signal });
    return { changed: made.length > 0, detail: made.length === 0 ? 'all present' : `made: ${made.join(', ')}`, value: undefined };
  });
  await steps.run('vault-start', 'Start Vault', () => startVault(stack, { onEvent, signal, isRight: isKept(planned, 'vault') }));
  await steps.run('vault-open', 'Open Vault', () => openVault(stack, { onEvent, signal }));
  // What ended with an error may have been refused by Vault: its login is looked at and delivered anew.
  const failed = before.filter((container) => hasFailed(container));
  const again = failed.flatMap((container) => container.service ?? []);
  await steps.run('bootstrap', 'Roles and secrets', () => bootstrap(stack, { onEvent, force: again.length > 0 }));
  await steps.run('deliver', 'Deliver logins', () => deliverLogins(stack, services, { onEvent, again }));
  await steps.run('services', 'Start services', () => startServices(stack, services, planned, before, onEvent, signal));
  await steps.run('redis-cluster', 'Redis cluster', () => formRedisCluster(stack, services, onEvent, signal));
  const results = await steps.run('healthy', 'Wait for health', () => waitUntilHealthy(stack, services, { onEvent, signal, deadlineMs: options.deadlineMs ?? 300_000 }));
  await steps.finish();
  return { project: stack.project.id, profile, changed: steps.changed, services: results, durationMs: performance.now() - started };
}

// Once a cluster has grown, its nodes hold slots: a smaller profile would leave part of the keys unreachable.
function withClusterPeers(stack: Stack, services: readonly ServiceModel[], containers: readonly ContainerSummary[], onEvent: OnEvent): readonly ServiceModel[] {
  if (!services.some((service) => service.protocol === 'redis-cluster')) return services;
  const missing = stack.model.services.filter(
    (service) => service.protocol === 'redis-cluster' && !services.includes(service) && containers.some((container) => container.service === service.name),
  );
  if (missing.length === 0) return services;
  onEvent({
    type: 'warning',
    code: 'REDIS_CLUSTER_KEPT',
    text: `${missing.map((service) => service.name).join(' and ')} stay in the plan: they hold slots of the Redis cluster.`,
    hint: 'To shrink it, start anew: devstack reset',
  });
  return stack.model.services.filter((service) => services.includes(service) || missing.includes(service));
}

function isKept(planned: readonly PlannedService[], service: string): boolean {
  return planned.some((one) => one.service === service && one.action === 'keep');
}

async function startServices(stack: Stack, services: readonly ServiceModel[], planned: readonly PlannedService[], before: readonly ContainerSummary[], onEvent: OnEvent, signal: AbortSignal | undefined): Promise<{ changed: boolean; detail: string; value: undefined }> {
  // Vault is running by now; what is left to do decides whether compose is needed at all.
  if (planned.every((one) => one.action === 'keep' || one.service === 'vault')) return { changed: false, detail: 'all running', value: undefined };
  await endPauses(stack, services, before);
  try {
    await stack.compose.up({
      services: services.map((service) => service.name),
      build: false,
      onLine: (line) => { onEvent({ type: 'progress', step: 'services', text: line.text }); },
      ...(signal === undefined ? {} : { signal }),
    });
  } catch (error) {
    await removeHalfMade(stack, before);
    if (isDevstackError(error, 'INTERRUPTED')) throw error;
    const failed = await firstFailure(stack, services);
    if (failed !== undefined) throw failed;
    throw error;
  }
  const touched = planned.filter((one) => one.action !== 'keep').map((one) => one.service);
  return { changed: true, detail: `started ${touched.join(', ')}`, value: undefined };
}

/** True for a container that ended with an error by itself; one that was killed or stopped by a signal did not. */
export function hasFailed(container: Pick<ContainerSummary, 'state' | 'status'>): boolean {
  if (container.state === 'restarting') return true;
  const exitCode = Number(/^Exited \((\d+)\)/.exec(container.status)?.[1] ?? '0');
  return container.state === 'exited' && exitCode > 0 && exitCode < 128;
}

// Docker waits longer before each restart of a failing container, and takes it for running meanwhile: a start would not start it.
async function endPauses(stack: Stack, services: readonly ServiceModel[], containers: readonly ContainerSummary[]): Promise<void> {
  const pausing = containers.filter((container) => container.state === 'restarting' && services.some((service) => service.name === container.service));
  if (pausing.length === 0) return;
  const engine = await stack.engine();
  await Promise.all(pausing.map((container) => engine.stopContainer(container.id)));
}

// A container that could not start (a port taken in the meantime) would stay behind in state "created".
async function removeHalfMade(stack: Stack, before: readonly ContainerSummary[]): Promise<void> {
  const engine = await stack.engine();
  const now = await engine.listContainers({ project: stack.project.id, all: true });
  const half = now.filter((container) => container.state === 'created' && !before.some((old) => old.id === container.id));
  await Promise.all(half.map((container) => engine.removeContainer(container.id, { force: true })));
}

async function formRedisCluster(stack: Stack, services: readonly ServiceModel[], onEvent: OnEvent, signal: AbortSignal | undefined): Promise<{ changed: boolean; detail: string; value: undefined }> {
  const members = services.filter((service) => service.protocol === 'redis-cluster');
  const role = members[0]?.role;
  if (role === undefined) return { changed: false, detail: 'not in this profile', value: undefined };
  await using session = await operatorSession(stack);
  const secret = (await readServiceSecret(session.client, role)) ?? {};
  const nodes = members.flatMap((service) => {
    const port = service.ports[0];
    const address = service.networks[0]?.address;
    return port === undefined || address === undefined ? [] : [{ name: service.name, host: port.hostAddress, port: port.hostPort, address }];
  });
  const outcome = await whenReachable(stack, members, onEvent, () =>
    ensureRedisCluster({
      nodes,
      username: secret['username']?.reveal() ?? 'default',
      password: secret['password'] ?? new Secret(''),
      signal,
      onProgress: (text) => { onEvent({ type: 'progress', step: 'redis-cluster', text }); },
    }),
  );
  return { changed: outcome.changed, detail: `${String(outcome.nodes)} nodes${outcome.movedSlots > 0 ? `, ${String(outcome.movedSlots)} slots moved` : ''}`, value: undefined };
}

// A node that has only just been started refuses or drops connections for a moment.
const redisDeadlineMs = 60_000;

async function whenReachable<T>(stack: Stack, members: readonly ServiceModel[], onEvent: OnEvent, work: () => Promise<T>): Promise<T> {
  const started = performance.now();
  for (;;) {
    try {
      return await work();
    } catch (error) {
      const elapsedMs = performance.now() - started;
      if (!isStillStarting(error) || elapsedMs > redisDeadlineMs) throw error;
      const failed = await firstFailure(stack, members);
      if (failed !== undefined) throw failed;
      onEvent({ type: 'waiting', step: 'redis-cluster', for: members.map((member) => member.name), elapsedMs, deadlineMs: redisDeadlineMs });
      await delay(100);
    }
  }
}

function isStillStarting(error: unknown): boolean {
  if (!isDevstackError(error)) return false;
  return error.code.startsWith('CONNECTION_') || / LOADING /.test(error.message);
}

async function waitUntilHealthy(
  stack: Stack,
  services: readonly ServiceModel[],
  options: { onEvent: OnEvent; signal: AbortSignal | undefined; deadlineMs: number },
): Promise<{ changed: boolean; detail: string; value: readonly ProbeResult[] }> {
  const started = performance.now();
  const results = new Map<string, ProbeResult>();
  let open: readonly ServiceProbe[] = await probesFor(stack, services);
  for (;;) {
    const elapsed = (): number => performance.now() - started;
    await Promise.all(
      open.map(async (one) => {
        const result = await probe({ timeoutMs: 5_000, ...one, ...(options.signal === undefined ? {} : { signal: options.signal }) });
        results.set(one.service, result);
        if (result.healthy) options.onEvent({ type: 'service-healthy', service: one.service, elapsedMs: elapsed() });
      }),
    );
    open = open.filter((one) => results.get(one.service)?.healthy !== true);
    if (open.length === 0) break;
    const aborted = abortReason(options.signal, 'Waiting for health');
    if (aborted !== undefined) throw aborted;
    const failed = await firstFailure(stack, services);
    if (failed !== undefined) throw failed;
    if (elapsed() > options.deadlineMs) throw notHealthy(open.flatMap((one) => results.get(one.service) ?? []), options.deadlineMs);
    options.onEvent({ type: 'waiting', step: 'healthy', for: open.map((one) => one.service), elapsedMs: elapsed(), deadlineMs: options.deadlineMs });
    await delay(250);
  }
  const ordered = services.flatMap((service) => results.get(service.name) ?? []);
  return { changed: false, detail: `${String(ordered.length)} services healthy by protocol`, value: ordered };
}

/** A container that ended, or that keeps ending, will not become healthy by waiting: its last words are the error. */
async function firstFailure(stack: Stack, services: readonly ServiceModel[]): Promise<DevstackError | undefined> {
  const engine = await stack.engine();
  const containers = await engine.listContainers({ project: stack.project.id, all: true });
  for (const container of containers) {
    if (!services.some((service) => service.name === container.service)) continue;
    const details = container.state === 'exited' || container.state === 'restarting' || container.state === 'dead' ? await engine.inspectContainer(container.id) : undefined;
    if (details === undefined || (details.state.exitCode === 0 && container.state === 'exited')) continue;
    if (container.state === 'restarting' && details.restartCount < 3) continue;
    const log = await engine.logs(container.id, { tail: 20 });
    return new DevstackError({
      code: StackErrorCode.notHealthy,
      message: `${container.service ?? container.name} ended with exit code ${String(details.state.exitCode)}${details.state.oomKilled ? ' (out of memory)' : ''}. Its last lines:\n${log.trimEnd()}`,
      hint: `Run: devstack logs ${container.service ?? container.name}, then devstack up again.`,
      details: { service: container.service, exitCode: details.state.exitCode },
    });
  }
  return undefined;
}

function notHealthy(results: readonly ProbeResult[], deadlineMs: number): DevstackError {
  const lines = results.map((result) => `${result.service}: tried ${result.tried ?? result.checked}; ${result.reason ?? 'no answer'}`);
  return new DevstackError({
    code: StackErrorCode.notHealthy,
    message: `Not healthy after ${String(Math.round(deadlineMs / 1000))} s: ${lines.join('; ')}`,
    hint: results[0]?.nextStep ?? 'Run: devstack doctor',
    details: { services: results },
  });
}

async function delay(ms: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<undefined>();
  setTimeout(resolve, ms, undefined);
  await promise;
}
