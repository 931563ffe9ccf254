import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  allCapabilities,
  capabilities,
  capabilitiesIn,
  capabilityOf,
  defaultCapabilities,
  maskOf,
  namesIn,
} from './capabilities.ts';
import { boundingSet } from './configuration.ts';
import { conditionsOf, riskOf, worst, type RiskCondition } from './risk.ts';
import { compareScores } from './score.ts';

describe('the table', () => {
  it('has the 41 capabilities of linux/capability.h by their numbers', () => {
    expect(capabilities).toHaveLength(41);
    const numbers = { CHOWN: 0, NET_ADMIN: 12, SYS_PTRACE: 19, SYS_ADMIN: 21, SYSLOG: 34, CHECKPOINT_RESTORE: 40 };
    for (const [name, bit] of Object.entries(numbers)) expect(capabilityOf(name)?.bit).toBe(bit);
    expect(capabilities.every(({ bit }, index) => bit === index)).toBe(true);
  });

  it('has the default set of Docker', () => {
    expect(defaultCapabilities).toBe(0xa80425fbn);
    expect(capabilities.filter(({ byDefault }) => byDefault)).toHaveLength(14);
  });

  it('finds a capability in any spelling, and none for a typo', () => {
    expect(['net_admin', 'CAP_NET_ADMIN', ' cap_net_admin '].map((text) => capabilityOf(text)?.name)).toEqual(
      Array(3).fill('NET_ADMIN'),
    );
    expect(capabilityOf('NET_ADMN')).toBeUndefined();
    expect(capabilityOf('CAP_41')).toMatchObject({ bit: 41, level: 'high' });
    expect([capabilityOf('CAP_40'), capabilityOf('CAP_64')]).toEqual([undefined, undefined]);
  });

  it('gives every mask back, bits above 31 and unknown ones included', () => {
    fc.assert(
      fc.property(fc.bigInt(0n, (1n << 64n) - 1n), (mask) => {
        expect(maskOf(namesIn(mask))).toBe(mask);
      }),
    );
    expect(maskOf(['ALL', 'nonsense'])).toBe(allCapabilities);
  });
});

describe('the bounding set', () => {
  const set = (capAdd: string[], capDrop: string[], privileged = false): readonly string[] =>
    namesIn(boundingSet({ capAdd, capDrop, privileged }));

  it('follows the lists as the engine does', () => {
    expect(set([], [])).toHaveLength(14);
    expect(set(['NET_ADMIN'], [])).toHaveLength(15);
    expect(set(['CHOWN'], ['all'])).toEqual(['CHOWN']);
    expect(set([], ['cap_chown', 'MKNOD'])).toHaveLength(12);
    expect(set(['ALL'], ['SYS_ADMIN'])).toHaveLength(40);
    expect(set([], ['ALL'], true)).toHaveLength(41);
  });
});

describe('the risk', () => {
  const cases = capabilities.flatMap((capability) =>
    [undefined, ...capability.raisedBy].map((condition) => [capability.name, condition, capability] as const),
  );

  it.each(cases)(
    'of %s with %s is raised by what the table says and lowered by a user namespace',
    (_name, condition, capability) => {
      const conditions = new Set<RiskCondition>(condition === undefined ? [] : [condition]);
      const order = ['low', 'medium', 'high', 'critical'];
      const plain = order.indexOf(riskOf(capability, { conditions, userNamespace: false }).level);
      const lowered = order.indexOf(riskOf(capability, { conditions, userNamespace: true }).level);
      const base = order.indexOf(capability.level);
      if (condition === undefined) expect(plain).toBe(base);
      else expect(plain).toBe(capability.raisesTo === 'critical' ? 3 : Math.min(3, base + 1));
      expect(lowered).toBe(capability.reachesHost ? Math.max(0, plain - 1) : plain);
      // The opposite must not pass: a condition that the table does not name changes nothing.
      const other: RiskCondition = capability.raisedBy.includes('host-ipc') ? 'devices' : 'host-ipc';
      expect(riskOf(capability, { conditions: new Set([other]), userNamespace: false }).level).toBe(capability.level);
    },
  );

  it('knows which capabilities are worse together', () => {
    expect(conditionsOf(maskOf(['BPF', 'NET_ADMIN', 'CHOWN']))).toEqual(['with-BPF', 'with-NET_ADMIN']);
    expect(worst([])).toBe('low');
    expect(worst(['medium', 'critical', 'low'])).toBe('critical');
    expect(capabilitiesIn(0n)).toEqual([]);
  });
});

it('scores are compared part by part', () => {
  const before = { value: 90, parts: [{ name: 'capabilities' as const, max: 35, value: 25, findings: 1 }] };
  const after = {
    value: 95.5,
    parts: [
      { name: 'capabilities' as const, max: 35, value: 35, findings: 0 },
      { name: 'isolation' as const, max: 35, value: 1, findings: 0 },
    ],
  };
  expect(compareScores(before, after)).toEqual({
    before: 90,
    after: 95.5,
    change: 5.5,
    parts: [
      { name: 'capabilities', before: 25, after: 35, change: 10 },
      { name: 'isolation', before: 0, after: 1, change: 1 },
    ],
  });
});
