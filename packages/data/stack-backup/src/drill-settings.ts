import { randomInt } from 'node:crypto';
import type { DockerEngine } from '@devstack-core/docker-engine';
import { DevstackError } from '@devstack-core/errors';
import { findPortHolders, type Stack } from '@devstack-core/stack-lifecycle';
import { StackBackupErrorCode } from './errors.ts';

/** Without what names a stack's own addresses. */
export function withoutAddresses(
  env: Readonly<Record<string, string | undefined>>,
): Readonly<Record<string, string | undefined>> {
  const own = /^DEVSTACK_(PROJECT|SUBNET_PREFIX|PORT_OFFSET|[A-Z0-9_]+_PORT)$/;
  return Object.fromEntries(Object.entries(env).filter(([name]) => !own.test(name)));
}

/** A subnet prefix that no network of this Docker has and none of the named projects. Throws NO_ADDRESSES. */
export async function freePrefix(
  docker: Pick<DockerEngine, 'listNetworks'>,
  taken: readonly string[],
): Promise<string> {
  const used = (await docker.listNetworks()).flatMap(({ subnets }) => subnets);
  const start = randomInt(0, 100);
  for (let n = 0; n < 100; n += 1) {
    const prefix = `10.${String(130 + ((start + n) % 100))}`;
    // A network as wide as all of 10.0.0.0 has every one of them.
    const isUsed = used.some((subnet) => subnet.startsWith(`${prefix}.`) || subnet.startsWith('10.0.0.0/8'));
    if (!isUsed && !taken.includes(prefix)) return prefix;
  }
  throw noAddresses('no private subnet is free');
}

/**
 * Settings that give each port of a stack another host port, free now. The stack that is there keeps its own, whatever `.env` or the environment
 * say of both. Throws NO_ADDRESSES.
 */
export async function freePorts(model: Pick<Stack['model'], 'services'>): Promise<Readonly<Record<string, string>>> {
  const variables = model.services.flatMap(({ ports }) => ports.flatMap(({ variable }) => variable ?? []));
  const names = [...new Set(variables)];
  for (let attempt = 0; attempt < 50; attempt += 1) {
    // Below the ports that the kernel hands out by itself.
    const first = randomInt(15_000, 32_000 - names.length);
    const ports = names.map((_, index) => first + index);
    if ((await findPortHolders(ports)).length === 0)
      return Object.fromEntries(names.map((name, index) => [name, String(first + index)]));
  }
  throw noAddresses('no ports are free');
}

function noAddresses(why: string): DevstackError {
  return new DevstackError({
    code: StackBackupErrorCode.noAddresses,
    message: `A stack for a trial cannot be made: ${why}.`,
    hint: 'Remove networks and programs that are not needed: docker network prune',
  });
}
