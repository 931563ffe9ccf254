import type { Stack } from '@devstack-core/stack-lifecycle';
import { serviceSecretDefinitions } from '@devstack-core/service-secrets';

/** The Vault role behind a word: a service (`redis-2` is role `redis`) or a role itself. Throws UNKNOWN_SERVICE. */
export function roleOf(stack: Stack, word: string): string {
  if (serviceSecretDefinitions.some((definition) => definition.role === word)) return word;
  const service = stack.model.service(word);
  return service.role ?? service.name;
}
