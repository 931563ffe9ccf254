import type { OnEvent } from './events.ts';
import type { Stack } from './stack.ts';

/**
 * Services that refuse the password in Vault run with an older one: it was changed by hand, or a rotation was cut off before its
 * restart. Passwords are taken at the start, so they are restarted, after the servers they log in to themselves.
 */
export async function applyPassword(
  stack: Stack,
  names: readonly string[],
  { onEvent, signal }: { readonly onEvent: OnEvent; readonly signal?: AbortSignal | undefined },
): Promise<void> {
  const servers = names.flatMap((name) => stack.model.service(name).dependsOn).filter((server) => server !== 'vault');
  const services = [...new Set([...servers, ...names])];
  onEvent({
    type: 'warning',
    code: 'PASSWORD_APPLIED',
    text: `${names.join(', ')} refused the password that Vault holds: restarting ${services.join(', ')} to take it.`,
    hint: '',
  });
  for (const service of services) {
    await stack.compose.restart({ services: [service], noDeps: true, ...(signal === undefined ? {} : { signal }) });
  }
}
