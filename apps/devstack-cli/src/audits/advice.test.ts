import { existsSync, readFileSync } from 'node:fs';
import { DevstackError } from '@devstack-core/errors';
import type { Stack, up } from '@devstack-core/stack-lifecycle';
import { describe, expect, test } from 'vitest';
import type { Context } from '../context.ts';
import { adviceOn, adviceText } from './advice.ts';

const code = (name: string): DevstackError => new DevstackError({ code: name, message: name });

/** A stack that becomes healthy with `needed`, and what was brought up: the overlay's text, or `as declared`. */
function stackThatNeeds(needed: readonly string[], declared: readonly string[], failure = code('NOT_HEALTHY')) {
  const starts: string[] = [];
  let overlay = '';
  const compose = {
    withOverlay: (file: string) => {
      overlay = file;
      return { overlay: file };
    },
  };
  const service = (name: string): object => {
    if (name !== 'web') throw new DevstackError({ code: 'UNKNOWN_SERVICE', message: name, details: { usage: true } });
    return { name, capabilitiesAdded: declared };
  };
  const listContainers = () => Promise.resolve([{ service: 'web', state: 'running' }, { service: 'old' }]);
  const stack = {
    model: { service },
    compose,
    project: { id: 'p' },
    engine: () => Promise.resolve({ listContainers }),
  };
  const bringUp = (async (given: Stack) => {
    const file = (given.compose as unknown as { overlay?: string }).overlay;
    const text = file === undefined ? 'as declared' : readFileSync(file, 'utf8');
    starts.push(text);
    if (file !== undefined && !needed.every((name) => text.includes(name))) throw failure;
    return Promise.resolve({});
  }) as unknown as typeof up;
  return { stack: stack as unknown as Stack, bringUp, starts, overlay: () => overlay };
}

function contextWith(signal: AbortSignal = new AbortController().signal): Context {
  return { signal, onEvent: () => undefined } as unknown as Context;
}

const options = { service: 'web', candidates: [], timeoutMs: 1000 };

describe('advice on a service', () => {
  test('is what it needs of what it has; it is put back as declared, and the overlay is gone', async () => {
    const { stack, bringUp, starts, overlay } = stackThatNeeds(['KILL'], ['CHOWN', 'KILL', 'CAP_SETUID']);
    const advice = await adviceOn(stack, contextWith(), { ...options, bringUp });
    expect(advice).toMatchObject({ service: 'web', capAdd: ['KILL'], needless: ['CHOWN', 'SETUID'] });
    expect(starts[0]).toBe('services:\n  "web":\n    cap_drop: !override [ALL]\n    cap_add: !reset []\n');
    expect(starts.at(-1)).toBe('as declared');
    expect(starts.filter((text) => text === 'as declared')).toHaveLength(1);
    expect(existsSync(overlay())).toBe(false);
    const text = adviceText(advice);
    expect(text).toContain('cap_add: [KILL]');
    expect(text).toContain('It did without CHOWN, SETUID.');
    expect(text).toContain('send signals');
  });

  test('takes candidates beside what it has, and says so where nothing is needed', async () => {
    const more = stackThatNeeds(['NET_RAW'], []);
    const advice = await adviceOn(more.stack, contextWith(), {
      ...options,
      candidates: ['cap_net_raw'],
      bringUp: more.bringUp,
    });
    expect(advice.capAdd).toEqual(['NET_RAW']);
    const none = stackThatNeeds([], []);
    const nothing = await adviceOn(none.stack, contextWith(), { ...options, bringUp: none.bringUp });
    expect(adviceText(nothing)).toMatch(/no capability at all, after 1 try\.\nThe compose files say the same\./);
  });

  test('is impossible where it is not healthy with all of them; it is put back all the same', async () => {
    const { stack, bringUp, starts } = stackThatNeeds(['SYS_ADMIN'], ['CHOWN']);
    await expect(adviceOn(stack, contextWith(), { ...options, bringUp })).rejects.toMatchObject({
      code: 'ADVICE_IMPOSSIBLE',
    });
    expect(starts.at(-1)).toBe('as declared');
  });

  test('ends with what is no matter of capabilities', async () => {
    for (const failure of ['DOCKER_UNREACHABLE', 'VAULT_SEALED', 'LEASE_HELD', 'INTERRUPTED']) {
      const { stack, bringUp, starts } = stackThatNeeds(['KILL'], ['KILL'], code(failure));
      await expect(adviceOn(stack, contextWith(), { ...options, bringUp })).rejects.toMatchObject({ code: failure });
      expect(starts).toHaveLength(2);
    }
  });

  test('an interrupt ends the trials, and the service comes back', async () => {
    const end = new AbortController();
    const { stack, bringUp, starts } = stackThatNeeds(['KILL'], ['KILL']);
    const interrupting: typeof up = async (given, how) => {
      if (starts.length === 0) end.abort();
      return bringUp(given, how);
    };
    await expect(
      adviceOn(stack, contextWith(end.signal), { ...options, bringUp: interrupting }),
    ).rejects.toBeInstanceOf(DevstackError);
    expect(starts).toHaveLength(2);
    expect(starts.at(-1)).toBe('as declared');
  });
});
