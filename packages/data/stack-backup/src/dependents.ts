import type { Stack } from '@devstack-core/stack-lifecycle';

/** What cannot work without a service, by the compose files; those that are needed last come first. */
export function dependentsOf({ model }: Pick<Stack, 'model'>, service: string): readonly string[] {
  const found = [service];
  // Grows while it is walked: dependents of dependents are visited too.
  for (const name of found)
    for (const one of model.services)
      if (one.dependsOn.includes(name) && !found.includes(one.name)) found.push(one.name);
  return found.slice(1).toReversed();
}
