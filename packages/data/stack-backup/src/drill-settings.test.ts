import { createServer } from 'node:net';
import type { Stack } from '@devstack-core/stack-lifecycle';
import { describe, expect, it } from 'vitest';
import { freePorts, freePrefix, withoutAddresses } from './drill-settings.ts';

function networks(...subnets: readonly string[]): Parameters<typeof freePrefix>[0] {
  return { listNetworks: () => Promise.resolve([{ subnets }]) } as unknown as Parameters<typeof freePrefix>[0];
}

function model(count: number): Pick<Stack['model'], 'services'> {
  const ports = Array.from({ length: count }, (_, index) => ({ variable: `DEVSTACK_P${String(index)}_PORT` }));
  return { services: [{ ports: [...ports, {}] }] } as unknown as Pick<Stack['model'], 'services'>;
}

describe('the addresses of a drill', () => {
  it('are in no network and no project, and are told when there are none', async () => {
    const all = Array.from({ length: 100 }, (_, index) => `10.${String(130 + index)}`);
    const left = all.filter((prefix) => prefix !== '10.150' && prefix !== '10.151').map((prefix) => `${prefix}.1.0/24`);
    expect(await freePrefix(networks(...left), ['10.151'])).toBe('10.150');
    await expect(freePrefix(networks(...left), ['10.150', '10.151'])).rejects.toMatchObject({ code: 'NO_ADDRESSES' });
    await expect(freePrefix(networks('10.0.0.0/8'), [])).rejects.toMatchObject({ code: 'NO_ADDRESSES' });
  });

  it('are ports that can be bound, one for each setting', async () => {
    const ports = await freePorts(model(12));
    expect(new Set(Object.values(ports))).toHaveLength(12);
    for (const port of Object.values(ports)) {
      const { promise, resolve, reject } = Promise.withResolvers<undefined>();
      const server = createServer().on('error', reject);
      server.listen(Number(port), '127.0.0.1', () => server.close(() => { resolve(undefined); })); // prettier-ignore
      await promise;
    }
  });

  it('do not come from the environment of the stack that is there', () => {
    const env = { DEVSTACK_PROJECT: 'p', DEVSTACK_POSTGRES_PORT: '1', DEVSTACK_POSTGRES_IMAGE: 'i', PATH: '/bin' };
    expect(withoutAddresses(env)).toEqual({ DEVSTACK_POSTGRES_IMAGE: 'i', PATH: '/bin' });
  });
});
