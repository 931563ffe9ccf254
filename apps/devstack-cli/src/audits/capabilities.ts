import { join } from 'node:path';
import { auditCapabilities, parseAllowlist, type CapabilityAudit } from '@devstack-core/capability-audit';
import type { Stack } from '@devstack-core/stack-lifecycle';
import type { Context } from '../context.ts';
import { readDeclared } from './read-declared.ts';
import { requireContainers } from './require-running.ts';

/** Where reasons for capabilities and hardening exceptions are, from the root of a checkout. */
export const allowlistFile = 'configs/capability-allowlist.yaml';

/** What the stack's containers can really do, held against the compose files and the allowlist. */
export async function capabilitiesOf(stack: Stack, context: Context): Promise<CapabilityAudit> {
  const path = join(stack.project.root, allowlistFile);
  const containers = await requireContainers(stack);
  const [text, configHashes, engine] = await Promise.all([
    readDeclared(path),
    stack.compose.configHashes(),
    stack.engine(),
  ]);
  // A service that was never brought up is not what runs; a check of the declarations alone needs no stack.
  const services = stack.model.services.filter(({ name }) => containers.some(({ service }) => service === name));
  return auditCapabilities({
    engine,
    containers: { project: stack.project.id },
    compose: { services, locate: (where) => stack.model.locate(where) },
    allowlist: parseAllowlist(text, path),
    configHashes: Object.fromEntries(configHashes),
    root: stack.project.root,
    signal: context.signal,
  });
}
