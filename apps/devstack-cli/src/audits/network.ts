import { join } from 'node:path';
import {
  auditNetwork,
  membersOf,
  parseNetworkPaths,
  type DeclaredPath,
  type EgressTarget,
  type NetworkAudit,
} from '@devstack-core/network-audit';
import { tlsModeOf, type Stack } from '@devstack-core/stack-lifecycle';
import type { Context } from '../context.ts';
import { readDeclared } from './read-declared.ts';
import { requireRunning } from './require-running.ts';

/** Every pair of services, from inside: may it, can it. */
export async function networkOf(
  stack: Stack,
  context: Context,
  options: { readonly egressTargets?: readonly EgressTarget[] },
): Promise<NetworkAudit> {
  await requireRunning(stack);
  const engine = await stack.engine();
  const isSingle = stack.env['DEVSTACK_NETWORKS'] === 'single';
  const file = join(stack.project.root, `configs/network-paths${isSingle ? '-single' : ''}.yaml`);
  const paths = parseNetworkPaths(await readDeclared(file), file);
  const members = await membersOf(engine, stack.project.id, stack.model);
  return auditNetwork({
    engine,
    members,
    paths: { ...paths, allow: paths.allow.map((path) => inTlsMode(stack, path)) },
    compose: stack.model,
    root: stack.project.root,
    image: 'devstack/base:local',
    ...options,
    signal: context.signal,
  });
}

/** Paths are declared by the plain ports; where a server's TLS has a port of its own, that is the one in use. */
function inTlsMode(stack: Stack, path: DeclaredPath): DeclaredPath {
  const service = stack.model.services.find(({ name }) => name === path.to);
  if (service === undefined || path.ports === undefined || tlsModeOf(service) === 'false') return path;
  const { containerPorts } = service;
  const ports = path.ports.map((port) => {
    const name = Object.keys(containerPorts).find((one) => containerPorts[one] === port);
    return containerPorts[`${name ?? ''}-tls`] ?? port;
  });
  return { ...path, ports };
}
