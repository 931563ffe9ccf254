import type { ServiceModel } from '@devstack-core/compose-project';
import type { ProbeResult } from '@devstack-core/health-probe';
import { ensureCertificates } from './certificates.ts';
import { endFailing } from './container-failure.ts';
import { deliverLogins } from './deliver.ts';
import type { OnEvent, PlannedService } from './events.ts';
import { waitUntilHealthy } from './health-step.ts';
import { probesFor, type ServiceProbe } from './health.ts';
import { ensureImages } from './images.ts';
import { replaceNetworks, warnOfSingleNetwork } from './networks.ts';
import { planServices } from './plan.ts';
import { assertPortsFree } from './preflight.ts';
import { formRedisCluster, withClusterPeers } from './redis-step.ts';
import { startServices } from './services-step.ts';
import { withStackLease } from './stack-lease.ts';
import { selectServices, type Stack } from './stack.ts';
import { StepRunner } from './steps.ts';
import { bootstrap, openVault, startVault } from './vault-steps.ts';

/** What to bring up. */
export interface UpOptions {
  readonly profile?: string | undefined;
  readonly services?: readonly string[] | undefined;
  readonly onEvent?: OnEvent;
  readonly signal?: AbortSignal | undefined;
  /** How long all services together may take to become healthy, once started; five minutes by default. */
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
  // A misspelled name is said before anything is touched or asked.
  selectServices(stack.model, options);
  return withStackLease(stack, { owner: 'devstack up', signal: options.signal }, () => bringUp(stack, options));
}

/** `up` for a caller that holds the stack's lease already. */
export async function bringUp(stack: Stack, options: UpOptions): Promise<UpResult> {
  const started = performance.now();
  const onEvent = options.onEvent ?? ((): void => undefined);
  const { signal } = options;
  // Compose takes longest to answer: it is asked first and awaited in the plan, where its failure is told.
  const configHashes = stack.compose.configHashes();
  configHashes.catch(() => undefined);
  await using steps = await StepRunner.open(stack, 'up', onEvent, signal);

  const engine = await stack.engine();
  const found = await engine.listContainers({ project: stack.project.id, all: true });
  const services = await withClusterPeers(stack, selectServices(stack.model, options), found, onEvent);
  const needed = withDependencies(stack, services);
  const failed = await endFailing(
    engine,
    found.filter((container) => needed.some((service) => service.name === container.service)),
  );
  const before = failed.length === 0 ? found : await engine.listContainers({ project: stack.project.id, all: true });
  const all = await planServices(stack, needed, before, configHashes);
  const planned = all.filter((one) => services.some((service) => service.name === one.service));
  const profile = (options.services ?? []).length === 0 ? (options.profile ?? 'standard') : 'custom';
  onEvent({ type: 'plan', profile, services: planned, resumedAfter: steps.resumedAfter });
  warnOfSingleNetwork(stack, onEvent);

  await steps.run('ports', 'Check ports', async () => {
    await assertPortsFree(stack, needed);
    const count = needed.flatMap((service) => service.ports).length;
    return { changed: false, detail: `${String(count)} ports`, value: undefined };
  });
  await steps.run('images', 'Images', async () => {
    const made = await ensureImages(stack, needed, { onEvent, signal });
    const detail = made.length === 0 ? 'all present' : `made: ${made.join(', ')}`;
    return { changed: made.length > 0, detail, value: undefined };
  });
  await steps.run('networks', 'Networks', () => replaceNetworks(stack, needed, { onEvent, signal }));
  await steps.run('certificates', 'Certificates', () => ensureCertificates(stack));
  await steps.run('vault-start', 'Start Vault', () =>
    startVault(stack, { onEvent, signal, isRight: isVaultKept(all) }),
  );
  await steps.run('vault-open', 'Open Vault', () => openVault(stack, { onEvent, signal }));
  // What ended with an error may have been refused by Vault: its login is looked at and delivered anew.
  await steps.run('bootstrap', 'Roles and secrets', () => bootstrap(stack, { onEvent, force: failed.length > 0 }));
  await steps.run('deliver', 'Deliver logins', () => deliverLogins(stack, needed, { onEvent, again: failed }));
  await steps.run('services', 'Start services', () =>
    startServices(stack, services, { planned: all, before, onEvent, signal }),
  );
  // One login to Vault reads what both of the last steps need.
  let reading: Promise<readonly ServiceProbe[]> | undefined;
  const probes = (): Promise<readonly ServiceProbe[]> => (reading ??= probesFor(stack, services));
  await steps.run('redis-cluster', 'Redis cluster', () =>
    formRedisCluster(stack, services, { probes, onEvent, signal }),
  );
  const results = await steps.run('healthy', 'Wait for health', () =>
    waitUntilHealthy(stack, services, { probes, onEvent, signal, deadlineMs: options.deadlineMs ?? 300_000 }),
  );
  await steps.finish();
  const { changed } = steps;
  return { project: stack.project.id, profile, changed, services: results, durationMs: performance.now() - started };
}

// What compose would start as well: its image, port and login are needed just the same. Every login needs Vault.
function withDependencies(stack: Stack, services: readonly ServiceModel[]): readonly ServiceModel[] {
  const names = new Set(['vault', ...services.map((service) => service.name)]);
  // A set that grows while it is walked: dependencies of dependencies are visited too.
  for (const name of names) for (const dependency of stack.model.service(name).dependsOn) names.add(dependency);
  return stack.model.services.filter((service) => names.has(service.name));
}

function isVaultKept(planned: readonly PlannedService[]): boolean {
  return planned.some((one) => one.service === 'vault' && one.action === 'keep');
}
