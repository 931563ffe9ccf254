import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { details } from '../test/fixtures.ts';
import { adviseByTrial, adviseCapabilities, capabilities } from './index.ts';

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

describe('advice by trial', () => {
  const needs = (needed: readonly string[]) => (capAdd: readonly string[]) =>
    Promise.resolve(needed.every((name) => capAdd.includes(name)));

  it('tries nothing twice, takes any spelling, and says what is needless', async () => {
    const tried: string[] = [];
    const advice = await adviseByTrial({
      subject: 'web',
      candidates: ['cap_chown', 'NET_RAW', 'CAP_KILL', 'setuid', 'CHOWN'],
      trial: (capAdd) => {
        tried.push(capAdd.join());
        return needs(['KILL'])(capAdd);
      },
    });
    expect(advice).toMatchObject({ capAdd: ['KILL'], needless: ['CHOWN', 'SETUID', 'NET_RAW'] });
    expect(new Set(tried).size).toBe(tried.length);
    expect(advice.trials.map(({ capAdd }) => capAdd.join())).toEqual(tried);
  });

  it('refuses a misspelled candidate before anything is tried', async () => {
    const trial = vi.fn(needs([]));
    await expect(adviseByTrial({ subject: 'web', candidates: ['NET_ADMNI'], trial })).rejects.toMatchObject({
      code: 'CAPABILITY_UNKNOWN',
      hint: expect.stringContaining('Did you mean NET_ADMIN?') as string,
    });
    expect(trial).not.toHaveBeenCalled();
  });

  it('is impossible where it does not work with all of them, and stops when it is told to', async () => {
    await expect(
      adviseByTrial({ subject: 'web', candidates: [], trial: () => Promise.resolve(false) }),
    ).rejects.toMatchObject({ code: 'ADVICE_IMPOSSIBLE', message: expect.stringContaining('no capability') as string });
    const end = new AbortController();
    const trial = (): Promise<boolean> => {
      end.abort();
      return Promise.resolve(false);
    };
    await expect(
      adviseByTrial({ subject: 'web', candidates: ['ALL'], trial, signal: end.signal }),
    ).rejects.toMatchObject({ code: 'INTERRUPTED' });
  });
});
