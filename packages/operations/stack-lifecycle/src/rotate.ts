import { join } from 'node:path';
import { acquireLease } from '@devstack-core/durable-files';
import { rotateServiceSecret } from '@devstack-core/service-secrets';
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
  const all = consumersOf(stack);
  for (const name of wanted) if (!all.some((consumer) => consumer.service === name)) stack.model.service(name);
  const consumers = wanted.length === 0 ? all : all.filter((consumer) => wanted.includes(consumer.service));
  await using session = await operatorSession(stack);
  await rotateSecretIds({
    client: session.client,
    consumers,
    directory: stack.directories.approles,
    deliver: async () => {
      await deliverLogins(stack, stack.model.services, { onEvent, force: true });
    },
  });
  return consumers;
}

/** Gives a role a new password in Vault and restarts its services and the servers that check that password, so that all use the new one. */
export async function rotatePassword(stack: Stack, options: { readonly role: string; readonly onEvent?: OnEvent; readonly signal?: AbortSignal | undefined }): Promise<{ readonly role: string; readonly restarted: readonly string[] }> {
  {
    await using session = await operatorSession(stack);
    await rotateServiceSecret({ client: session.client, role: options.role });
  }
  const affected = affectedBy(stack, options.role);
  const containers = await (await stack.engine()).listContainers({ project: stack.project.id });
  const running = affected.filter((name) => containers.some((container) => container.service === name && container.state === 'running'));
  if (running.length > 0) {
    await restart(stack, { services: running, ...(options.onEvent === undefined ? {} : { onEvent: options.onEvent }), ...(options.signal === undefined ? {} : { signal: options.signal }) });
  }
  return { role: options.role, restarted: running };
}

/** A role's own services, and the servers that keep a verifier of its password: both must read Vault anew. */
function affectedBy(stack: Stack, role: string): readonly string[] {
  const own = stack.model.services.filter((service) => service.role === role);
  const servers = own.flatMap((service) => service.dependsOn).filter((name) => name !== 'vault');
  return stack.model.services.map((service) => service.name).filter((name) => servers.includes(name) || own.some((service) => service.name === name));
}
