import type { ContainerSummary } from '@devstack-core/docker-engine';
import { DevstackError } from '@devstack-core/errors';
import { operatorSession, tlsModeOf, type Stack } from '@devstack-core/stack-lifecycle';

/** The project's containers, running or not. Throws STACK_NOT_RUNNING where there are none, and what says that Docker does not answer. */
export async function requireContainers(stack: Stack): Promise<readonly ContainerSummary[]> {
  const containers = await (await stack.engine()).listContainers({ project: stack.project.id, all: true });
  if (containers.length > 0) return containers;
  throw notRunning(`No container of this stack (${stack.project.id}) is here.`, 'devstack up');
}

/**
 * Throws STACK_NOT_RUNNING unless one of these services runs (any of the stack where none is named), UNKNOWN_SERVICE for a name that is none,
 * and what says that Docker does not answer: before anything else is tried that would fail for the same reason in other words.
 */
export async function requireRunning(stack: Stack, services: readonly string[] = []): Promise<void> {
  for (const service of services) stack.model.service(service);
  const containers = await requireContainers(stack);
  const running = containers.filter(({ state }) => state === 'running').map(({ service }) => service);
  if (services.length === 0 ? running.length > 0 : services.some((service) => running.includes(service))) return;
  throw services.length === 0
    ? notRunning(`Nothing of this stack (${stack.project.id}) runs.`, 'devstack up')
    : notRunning(
        `${services.join(', ')} ${services.length === 1 ? 'does' : 'do'} not run.`,
        `devstack up ${services.join(' ')}`,
      );
}

/** The same for Vault, which must be open as well: throws VAULT_SEALED, and what says that it does not answer. */
export async function requireVault(stack: Stack): Promise<void> {
  await requireRunning(stack, ['vault']);
  await (await operatorSession(stack))[Symbol.asyncDispose]();
}

/** The same for what is about certificates; throws TLS_OFF where none of the services is to speak TLS. */
export async function requireTls(stack: Stack, services: readonly string[] = []): Promise<void> {
  const asked = services.length === 0 ? stack.model.services : services.map((name) => stack.model.service(name));
  if (asked.some((service) => tlsModeOf(service) !== 'false')) return requireRunning(stack, services);
  throw new DevstackError({
    code: 'TLS_OFF',
    message: services.length === 0 ? 'No service of this stack speaks TLS.' : `Without TLS: ${services.join(', ')}.`,
    hint: 'Switch it on: DEVSTACK_TLS=true devstack up (docs/tls.md)',
  });
}

function notRunning(message: string, next: string): DevstackError {
  return new DevstackError({ code: 'STACK_NOT_RUNNING', message, hint: `Bring it up first: ${next}` });
}
