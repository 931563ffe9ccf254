import type { Stack } from '@devstack-core/stack-lifecycle';
import { describe, expect, it } from 'vitest';
import { storeIn } from '../test/fake-service.ts';
import type { StackPlaces } from './places.ts';
import { clusterOf, refuseParted, stackSources } from './sources.ts';

const names = ['postgres', 'mysql', 'mongodb', 'forgejo'] as const;

function world(engine: string): [Stack, StackPlaces] {
  const stack = { model: { service: () => ({ engine }) } } as unknown as Stack;
  const place = (service: string) => () => Promise.resolve({ service });
  const places = {
    isRunning: () => true,
    ...Object.fromEntries(names.map((name) => [name, place(name)])),
  } as unknown as StackPlaces;
  return [stack, places];
}

async function servicesOf(engine: string, physical: boolean): Promise<readonly string[]> {
  const [stack, places] = world(engine);
  await using cluster = physical ? await clusterOf(stack, storeIn('/nowhere'), places, names, undefined) : undefined;
  const sources = await stackSources(stack, places, {} as never, names, cluster);
  return sources.map(({ service }) => service);
}

describe('each database has one owner', () => {
  it('its own service where it is dumped, PostgreSQL where that is taken as a whole', async () => {
    expect(await servicesOf('ferretdb', false)).toEqual(['postgres', 'mysql', 'mongodb', 'forgejo']);
    // Right behind it, as nothing is pushed until both were read.
    expect(await servicesOf('ferretdb', true)).toEqual(['postgres', 'forgejo', 'mysql']);
    expect(await servicesOf('mongodb', true)).toEqual(['postgres', 'forgejo', 'mysql', 'mongodb']);
  });

  it('and nothing is physical but PostgreSQL', async () => {
    const [stack, places] = world('ferretdb');
    await expect(clusterOf(stack, storeIn('/nowhere'), places, ['mysql'], undefined)).rejects.toMatchObject({
      code: 'NOTHING_SELECTED',
    });
  });

  it('so that neither a part of it comes back alone, nor others go to a moment with it', () => {
    const target = { name: 'x' };
    expect(() => {
      refuseParted('s', ['forgejo'], undefined);
    }).toThrow('do not come back without it');
    expect(() => {
      refuseParted('s', ['postgres', 'mysql'], target);
    }).toThrow('only it can be brought to a moment');
    refuseParted('s', ['postgres', 'forgejo'], undefined);
    refuseParted('s', ['postgres'], target);
    refuseParted('s', ['mysql'], undefined);
  });
});
