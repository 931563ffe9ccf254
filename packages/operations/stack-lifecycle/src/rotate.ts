import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { rotateServiceSecret, type RotationReport } from '@devstack-core/service-secrets';
import { rotateSecretIds, type Consumer } from '@devstack-core/vault-approle';
import { consumersOf } from './consumers.ts';
import { deliverLogins } from './deliver.ts';
import type { OnEvent } from './events.ts';
import { withStackLease } from './stack-lease.ts';
import type { Stack } from './stack.ts';
import { stopAndStart } from './stop.ts';
import { operatorSession } from './vault-steps.ts';

/**
 * Gives every login (or the named services') a new secret_id. The old one stays valid until the new one is delivered and has been
 * tried, so there is no moment without a valid one. Throws UNKNOWN_SERVICE, STACK_NOT_RUNNING, VAULT_*.
 */
export async function rotateLogins(
  stack: Stack,
  options: { readonly services?: readonly string[] | undefined; readonly onEvent?: OnEvent } = {},
): Promise<readonly Consumer[]> {
  return withStackLease(stack, { owner: 'devstack vault rotate-secret-ids' }, async () => {
    const consumers = consumersToRotate(stack, options.services ?? []);
    await using session = await operatorSession(stack);
    await rotateSecretIds({
      client: session.client,
      consumers,
      directory: stack.directories.approles,
      deliver: async (consumer) => {
        const service = stack.model.services.find((candidate) => candidate.name === consumer.service);
        // The host's own logins are read from where they were written.
        if (service === undefined) return;
        await deliverLogins(stack, [service], { onEvent: options.onEvent ?? ((): void => undefined), force: true });
      },
    });
    return consumers;
  });
}

function consumersToRotate(stack: Stack, wanted: readonly string[]): readonly Consumer[] {
  const all = consumersOf(stack);
  if (wanted.length === 0) {
    return all.filter((consumer) => existsSync(join(stack.directories.approles, consumer.service, 'role-id')));
  }
  for (const name of wanted) if (!all.some((consumer) => consumer.service === name)) stack.model.service(name);
  return all.filter((consumer) => wanted.includes(consumer.service));
}

/**
 * Gives a role new passwords in Vault and restarts the servers that check them, then the role's own services, so that all use the
 * new ones; nobody else changes the stack in between (LEASE_HELD).
 */
export async function rotatePassword(
  stack: Stack,
  options: { readonly role: string; readonly onEvent?: OnEvent; readonly signal?: AbortSignal | undefined },
): Promise<{ readonly role: string; readonly restarted: readonly string[] }> {
  const { role, signal } = options;
  return withStackLease(stack, { owner: 'devstack vault rotate-password', signal }, async () => {
    const { servers } = await rotateInVault(stack, role);
    const restarted = await runningServices(stack, new Set([role, ...servers]));
    if (restarted.length > 0) {
      await stopAndStart(stack, {
        services: restarted,
        signal,
        ...(options.onEvent === undefined ? {} : { onEvent: options.onEvent }),
      });
    }
    return { role, restarted };
  });
}

async function runningServices(stack: Stack, roles: ReadonlySet<string>): Promise<readonly string[]> {
  const containers = await (await stack.engine()).listContainers({ project: stack.project.id });
  const running = new Set(
    containers.filter((container) => container.state === 'running').map((container) => container.service),
  );
  return stack.model.services
    .filter((service) => service.role !== undefined && roles.has(service.role) && running.has(service.name))
    .map((service) => service.name);
}

async function rotateInVault(stack: Stack, role: string): Promise<RotationReport> {
  await using session = await operatorSession(stack);
  return await rotateServiceSecret({ client: session.client, role });
}
