import { describe, expect, test } from 'vitest';
import { createTestStack } from '../test/test-stack.ts';
import type { StackEvent } from './events.ts';
import { status } from './status.ts';
import { down } from './stop.ts';
import { up } from './up.ts';

describe('one network instead of four', () => {
  test(
    'up switches to it and back, with data and logins; down --remove leaves none of either',
    { timeout: 300_000 },
    async () => {
      await using test = await createTestStack();
      const engine = await test.stack.engine();
      const names = async (): Promise<readonly string[]> =>
        (await engine.listNetworks({ project: test.stack.project.id })).map((network) => network.name).toSorted();
      const services = ['vault', 'redis-1'];
      await up(test.stack, { services });
      expect(await names()).toHaveLength(4);

      const single = await test.open({ DEVSTACK_NETWORKS: 'single' });
      expect((await status(single)).networks).toEqual({ declared: 'single', running: 'separate' });
      const events: StackEvent[] = [];
      const switched = await up(single, { services, onEvent: (event) => events.push(event) });
      expect(switched.services.every((service) => service.healthy)).toBe(true);
      expect(events).toContainEqual(expect.objectContaining({ type: 'warning', code: 'NETWORKS_NOT_ISOLATED' }));
      expect(await names()).toEqual([`${single.project.id}_single`]);
      expect((await status(single)).networks).toEqual({ declared: 'single', running: 'single' });
      const containers = await engine.listContainers({ project: single.project.id });
      for (const port of containers.flatMap((container) => container.ports))
        if (port.hostPort !== undefined) expect(port.hostAddress).toBe('127.0.0.1');
      expect(await up(single, { services })).toMatchObject({ changed: false });

      expect((await up(test.stack, { services })).services.every((service) => service.healthy)).toBe(true);
      expect(await names()).toHaveLength(4);
      // The other setting's files know none of these networks.
      await down(single, { remove: true });
      expect(await names()).toEqual([]);
    },
  );
});
