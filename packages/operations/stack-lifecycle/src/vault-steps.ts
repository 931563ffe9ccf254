import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ensurePki, renewalTime } from '@devstack-core/certificates';
import { ensurePrivateDirectory, writeFileDurable } from '@devstack-core/durable-files';
import { DevstackError, isDevstackError } from '@devstack-core/errors';
import { ensureServiceSecrets } from '@devstack-core/service-secrets';
import { bootstrapVault, loginWithFiles, type BootstrapReport, type VaultSession } from '@devstack-core/vault-approle';
import type { SealState, VaultClient } from '@devstack-core/vault-client';
import { ensureAuditDevice, initializeVault, readRootToken, unsealVault } from '@devstack-core/vault-lifecycle';
import { pkiRolesOf, stackRoot } from './certificates.ts';
import { consumersOf, roleDefinitions } from './consumers.ts';
import { StackErrorCode } from './errors.ts';
import type { OnEvent } from './events.ts';
import { resumePaused } from './services-step.ts';
import type { Stack } from './stack.ts';
import type { StepOutcome } from './steps.ts';
import { until } from './timing.ts';
import { usesTls } from './tls.ts';

interface BootstrapRecord {
  readonly version: 1;
  readonly fingerprint: string;
  readonly clusterId: string | null;
  readonly at: string;
  readonly consumers: BootstrapReport['consumers'];
  /** When Vault's intermediate authority is due; ISO 8601. Only with TLS. */
  readonly intermediateUntil?: string;
}

const auditPath = '/vault/audit/audit.log';

/** Starts Vault's container, unless the plan found it right (`isRight`) and it answers, and waits until it does, sealed or not. Throws VAULT_NOT_READY with its last log lines. */
export async function startVault(
  stack: Stack,
  options: { onEvent: OnEvent; signal?: AbortSignal | undefined; deadlineMs?: number; isRight?: boolean },
): Promise<StepOutcome<SealState>> {
  const client = stack.vault();
  const before = options.isRight === true ? await answers(client) : undefined;
  if (before !== undefined) return { changed: false, detail: describeSeal(before), value: before };
  const engine = await stack.engine();
  await resumePaused(stack, ['vault'], await engine.listContainers({ project: stack.project.id, all: true }));
  await stack.compose.up({
    services: ['vault'],
    build: false,
    onLine: (line) => {
      options.onEvent({ type: 'progress', step: 'vault-start', text: line.text });
    },
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  });
  const deadlineMs = options.deadlineMs ?? 60_000;
  const state = await until({
    what: 'Vault',
    signal: options.signal,
    everyMs: 100,
    deadlineMs,
    attempt: () => answers(client),
    onWait: (elapsedMs) => {
      options.onEvent({ type: 'waiting', step: 'vault-start', for: ['vault'], elapsedMs, deadlineMs });
    },
    expired: () => vaultNotReady(stack, deadlineMs),
  });
  return { changed: true, detail: describeSeal(state), value: state };
}

/** Initialises a new Vault and unseals it. A Vault whose keys were provably never used by anyone is started over. */
export async function openVault(
  stack: Stack,
  options: { onEvent: OnEvent; signal?: AbortSignal | undefined },
): Promise<StepOutcome> {
  await ensurePrivateDirectory(stack.directories.vault);
  const client = stack.vault();
  let initialized: 'initialized' | 'already';
  const initialize = {
    client,
    directory: stack.directories.vault,
    bootstrapped: (await readBootstrapRecord(stack)) !== undefined,
  };
  try {
    initialized = (await initializeVault(initialize)).outcome;
  } catch (error) {
    const neverUsed = isDevstackError(error, 'VAULT_KEYS_NEVER_SAVED') && error.details['safeToStartOver'] === true;
    if (!neverUsed) throw error;
    options.onEvent({
      type: 'warning',
      code: 'VAULT_STARTED_OVER',
      text: 'An earlier initialisation of Vault was cut off before its keys were written; nothing was stored in it, so it is started over.',
      hint: '',
    });
    await startOver(stack, options);
    initialized = (await initializeVault(initialize)).outcome;
  }
  const unsealed = (await unsealVault({ client, directory: stack.directories.vault })).outcome;
  const changed = initialized === 'initialized' || unsealed === 'unsealed';
  const detail =
    initialized === 'initialized'
      ? 'initialised and unsealed; keys written'
      : unsealed === 'unsealed'
        ? 'unsealed'
        : 'already unsealed';
  return { changed, detail, value: undefined };
}

/** Brings Vault's policies, roles, secret_ids and service secrets to what the files declare. Root is used only when something differs. */
export async function bootstrap(
  stack: Stack,
  options: { onEvent: OnEvent; force?: boolean; now?: () => Date },
): Promise<StepOutcome<BootstrapReport | undefined>> {
  const now = options.now?.() ?? new Date();
  const roles = await roleDefinitions(stack);
  const consumers = consumersOf(stack);
  const clusterId = (await stack.vault().health()).clusterId ?? null;
  const tls = usesTls(stack.model);
  const pkiRoles = pkiRolesOf(stack.model);
  const fingerprint = createHash('sha256')
    .update(JSON.stringify({ roles, consumers, pkiRoles, ca: tls ? stack.caBundle() : null }))
    .digest('hex');
  const record = await readBootstrapRecord(stack);
  const fresh =
    record?.fingerprint === fingerprint &&
    record.clusterId === clusterId &&
    record.consumers.every((consumer) => isFresh(stack, consumer, now)) &&
    (!tls || now < new Date(record.intermediateUntil ?? 0)) &&
    options.force !== true;
  if (fresh) return { changed: false, detail: `${String(roles.length)} roles as recorded`, value: undefined };

  await ensurePrivateDirectory(stack.directories.approles);
  const client = stack.vault(await readRootToken({ directory: stack.directories.vault }));
  await ensureAuditDevice({ client, path: auditPath });
  const report = await bootstrapVault({ client, roles, consumers, directory: stack.directories.approles });
  const secrets = await ensureServiceSecrets({ client, roles: roles.map((role) => role.role) });
  const pki = tls ? await ensurePki({ client, root: await stackRoot(stack), roles: pkiRoles }) : undefined;
  await writeBootstrapRecord(stack, {
    version: 1,
    fingerprint,
    clusterId,
    at: now.toISOString(),
    consumers: report.consumers,
    ...(pki === undefined ? {} : { intermediateUntil: renewalTime(pki.intermediate).toISOString() }),
  });
  const changes = [...report.changed, ...(pki?.changed ?? [])];
  const changed = changes.length > 0 || secrets.created.length > 0;
  return {
    changed,
    detail: `${String(roles.length)} roles, ${String(changes.length)} changed, ${String(secrets.created.length)} secrets generated`,
    value: report,
  };
}

/** Logs in as the `operator` role from its files: what every daily command uses instead of the root token. A Vault that is down or sealed is said at once. */
export async function operatorSession(stack: Stack): Promise<VaultSession> {
  if (!existsSync(join(stack.directories.approles, 'operator', 'secret-id'))) {
    throw new DevstackError({
      code: StackErrorCode.stackNotRunning,
      message: `This stack (${stack.project.id}) has no operator login yet.`,
      hint: 'Run: devstack up',
    });
  }
  const client = stack.vault();
  const { sealed } = await client.health({ deadlineMs: 0 });
  if (sealed)
    throw new DevstackError({
      code: 'VAULT_SEALED',
      message: `Vault at ${stack.vaultAddress} is sealed.`,
      hint: 'Run: devstack vault unseal',
    });
  return loginWithFiles({ client, directory: join(stack.directories.approles, 'operator') });
}

/** What the last bootstrap left, or undefined where there was none. */
export async function readBootstrapRecord(stack: Stack): Promise<BootstrapRecord | undefined> {
  const text = await readFile(join(stack.directories.state, 'bootstrap.json'), 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text) as BootstrapRecord;
  } catch {
    // A damaged record only costs a full bootstrap.
    return undefined;
  }
}

async function writeBootstrapRecord(stack: Stack, record: BootstrapRecord): Promise<void> {
  await ensurePrivateDirectory(stack.directories.state);
  await writeFileDurable(join(stack.directories.state, 'bootstrap.json'), `${JSON.stringify(record, null, 2)}\n`);
}

function isFresh(stack: Stack, consumer: BootstrapReport['consumers'][number], now: Date): boolean {
  const directory = join(stack.directories.approles, consumer.service);
  if (!existsSync(join(directory, 'role-id')) || !existsSync(join(directory, 'secret-id'))) return false;
  const leftMs = Date.parse(consumer.secretIdExpiresAt) - now.getTime();
  return leftMs > 10 * 24 * 3_600_000;
}

async function startOver(stack: Stack, options: { onEvent: OnEvent; signal?: AbortSignal | undefined }): Promise<void> {
  const engine = await stack.engine();
  const containers = await engine.listContainers({ project: stack.project.id, all: true });
  for (const container of containers)
    if (container.service === 'vault') await engine.removeContainer(container.id, { force: true });
  await engine.removeVolume(stack.model.volumeName('vault-data'));
  await startVault(stack, options);
}

async function answers(client: VaultClient): Promise<SealState | undefined> {
  try {
    return await client.health({ deadlineMs: 0 });
  } catch (error) {
    if (isDevstackError(error, 'VAULT_UNREACHABLE')) return undefined;
    throw error;
  }
}

async function vaultNotReady(stack: Stack, deadlineMs: number): Promise<DevstackError> {
  const engine = await stack.engine();
  const container = (await engine.listContainers({ project: stack.project.id, all: true })).find(
    (candidate) => candidate.service === 'vault',
  );
  const log = container === undefined ? '' : await engine.logs(container.id, { tail: 20 });
  return new DevstackError({
    code: StackErrorCode.vaultNotReady,
    message: `Vault did not answer at ${stack.vaultAddress} within ${String(Math.round(deadlineMs / 1000))} s (container ${container?.state ?? 'missing'}).${log === '' ? '' : `\n${log}`}`,
    hint: 'Run: devstack logs vault',
  });
}

function describeSeal(state: SealState): string {
  return `Vault ${state.version}, ${state.initialized ? (state.sealed ? 'sealed' : 'unsealed') : 'not initialised'}`;
}
