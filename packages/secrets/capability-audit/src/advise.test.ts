import fc from 'fast-check';
import { expect, it } from 'vitest';
import { details } from '../test/fixtures.ts';
import { adviseCapabilities, capabilities } from './index.ts';

const names = capabilities.map(({ name }) => name);

it('is minimal whatever a program needs: nothing of it can be taken away', async () => {
  await fc.assert(
    fc.asyncProperty(fc.subarray(names), fc.subarray(names, { minLength: 1 }), async (candidates, wanted) => {
      const needed = wanted.filter((name) => candidates.includes(name));
      let given: readonly string[] = [];
      let alive = 0;
      const engine = {
        inspectContainer: () => {
          const container = details({ name: 'c' });
          return Promise.resolve({ ...container, raw: { ...(container.raw as object), Config: {} } });
        },
        createContainer: (spec: { readonly capAdd?: readonly string[] }) => {
          given = spec.capAdd ?? [];
          alive += 1;
          return Promise.resolve('copy');
        },
        // Some needs show at the start already.
        startContainer: () =>
          needed.includes('SETUID') && !given.includes('SETUID') ? Promise.reject(new Error('no')) : Promise.resolve(),
        removeContainer: () => {
          alive -= 1;
          return Promise.resolve();
        },
      };
      const advice = await adviseCapabilities({
        engine,
        container: 'c',
        candidates,
        probe: () => Promise.resolve(needed.every((name) => given.includes(name))),
      });
      expect(advice.capAdd.toSorted()).toEqual(needed.toSorted());
      expect(alive).toBe(0);
    }),
    { numRuns: 60 },
  );
});
