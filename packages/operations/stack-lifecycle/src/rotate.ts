import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { acquireLease } from '@devstack-core/durable-files';
import { rotateServiceSecret, type RotationReport } from '@devstack-core/service-secrets';
import { rotateSecretIds, type Consumer } from '@devstack-core/vault-approle';
import { consumersOf } from './consumers.ts';
import { deliverLogins } from './deliver.ts';
import type { OnEvent } from './events.ts';
import { restart } from './stop.ts';
import type { Stack } from './stack.ts';
import { operatorSession } from './vault-steps.ts';

/**
 * Gives every login (or the named services') a new secret_id. The old one stays valid until the new one is delivered and has been
 * tried, so there is no moment without a valid one.
 */
export async function rotateLogins(stack: Stack, options: { readonly services?: readonly string[] | undefined; readonly onEvent?: OnEvent }): Promise<readonly Consumer[]> {
  const onEvent = options.onEvent ?? ((): void => undefined);
  await using _lease = await acquireLease({ path: join(stack.directories.state, 'stack.lock'), owner: 'devstack vault rotate-secret-ids' });
  const wanted = options.services ?? [];
  const all = consumersOf(stack).filter((consumer) => wanted.includes(consumer.service) || existsSync(join(stack.directories.approles, consumer.service, 'role-id')));
  for (const name of wanted) if (!all.some((consumer) => consumer.service === name)) stack.model.service(name);
  const consumers = wanted.length === 0 ? all : all.filter((consumer) => wanted.includes(consumer.service));
  await using session = await operatorSession(stack);
  await rotateSecretIds({
    client: session.client,
    consumers,
    directory: stack.directories.approles,
    deliver: async (consumer) => {
      const service = stack.model.services.find((candidate) => candidate.name === consumer.service);
      // The host's own logins are read from where they were written.
      if (service !== undefined) await deliverLogins(stack, [service], { onEvent, force: true });
    },
  });
  return consumers;
}

/** Gives a role new passwords in Vault and restarts the servers that check them, then the role's own services, so that all use the new ones. */
export async function rotatePassword(stack: Stack, options: { readonly role: string; readonly onEvent?: OnEvent; readonly signal?: AbortSignal | undefined }): Promise<{ readonly role: string; readonly restarted: readonly string[] }> {
  const { servers } = await rotateInVault(stack, options.role);
  const roles = new Set([options.role, ...servers]);
  const containers = await (await stack.engine()).listContainers({ project: stack.project.id });
  const running = stack.model.services
    .filter((service) => service.role !== undefined && roles.has(service.role))
    .map((service) => service.name)
    .filter((name) => containers.some((container) => container.service === name && container.state === 'running'));
  if (running.length > 0) {
    await restart(stack, { services: running, ...(options.onEvent === undefined ? {} : { onEvent: options.onEvent }), ...(options.signal === undefined ? {} : { signal: options.signal }) });
  }
  return { role: options.role, restarted: running };
}

async function rotateInVault(stack: Stack, role: string): Promise<RotationReport> {
  await using session = await operatorSession(stack);
  return await rotateServiceSecret({ client: session.client, role });
}
