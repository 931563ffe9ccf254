import { Secret } from '@devstack-core/redaction';
import type { SecretIdInfo } from '@devstack-core/vault-client';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { BootstrapState } from './inspect.ts';
import { allStepNames, issuer, planBootstrap, replacementReason, settingsOf, stepName, tracks } from './plan.ts';

const now = new Date('2026-01-01T00:00:00Z');
const day = 86_400;
const roles = [{ role: 'postgres', policy: 'path "a" {}', boundCidrs: ['172.20.1.0/24'] }];
const consumer = { service: 'postgres', role: 'postgres', addresses: ['172.20.1.11'] };
const options = { roles, consumers: [consumer] };

const info = (change: Partial<SecretIdInfo> = {}): SecretIdInfo => ({
  accessor: 'current',
  cidrs: ['172.20.1.11/32'],
  tokenCidrs: ['172.20.1.11'],
  metadata: { service: 'postgres', issuer },
  creationTime: now.toISOString(),
  expirationTime: new Date(now.getTime() + 30 * day * 1000).toISOString(),
  numUses: 0,
  ttlS: 30 * day,
  ...change,
});

const file = (value: string) => ({ state: 'there', value: new Secret(value) }) as const;

const wellSetUp = (change: Partial<BootstrapState> = {}): BootstrapState => ({
  kv: { type: 'kv', description: '', options: { version: '2' }, defaultLeaseTtlS: 0, maxLeaseTtlS: 0 },
  approle: { maxLeaseTtlS: 30 * day, locksOut: false },
  audit: {},
  roles: new Map([
    [
      'postgres',
      {
        policy: 'path "a" {}',
        settings: settingsOf(roles[0] ?? never(), undefined),
        roleId: 'id',
        accessors: ['current'],
      },
    ],
  ]),
  consumers: new Map([
    [
      'postgres',
      {
        files: { roleId: file('id'), secretId: file('s'), issued: { accessor: 'current', superseded: [] } },
        secretId: info(),
      },
    ],
  ]),
  strays: new Map(),
  ...change,
});

function never(): never {
  throw new Error('There is a role.');
}

const empty: BootstrapState = {
  kv: undefined,
  approle: undefined,
  audit: {},
  roles: new Map(),
  consumers: new Map(),
  strays: new Map(),
};

describe('planBootstrap', () => {
  const names = (state: BootstrapState, change: Partial<Parameters<typeof planBootstrap>[0]> = {}) =>
    planBootstrap({ ...options, ...change }, state, now).map(stepName);

  it('is empty for a Vault that is as declared', () => {
    expect(names(wellSetUp())).toEqual([]);
  });

  it('is everything for a new Vault, each step in one track and phase', () => {
    const steps = planBootstrap({ ...options, auditPath: '/audit.log' }, empty, now);
    expect(steps.map(stepName)).toEqual(
      allStepNames({ ...options, auditPath: '/audit.log' }).toSorted(
        (left, right) => steps.map(stepName).indexOf(left) - steps.map(stepName).indexOf(right),
      ),
    );
    for (const step of steps.filter(({ kind }) => kind !== 'audit'))
      expect(tracks.flat(2).filter((kind) => kind === step.kind)).toHaveLength(1);
  });

  it('makes policies, roles and secret_ids anew when forced, and keeps the role-id', () => {
    expect(names(wellSetUp(), { force: true })).toEqual(['policy postgres', 'role postgres', 'secret-id postgres']);
  });

  it.each<[string, Partial<BootstrapState>, string[]]>([
    ['the mount would cut lifetimes', { approle: { maxLeaseTtlS: day, locksOut: false } }, ['approle-tune approle']],
    ['the mount locks out', { approle: { maxLeaseTtlS: 30 * day, locksOut: true } }, ['approle-tune approle']],
    [
      'another role-id',
      { roles: new Map([['postgres', { ...(wellSetUp().roles.get('postgres') ?? never()), roleId: 'other' }]]) },
      ['role-id postgres'],
    ],
    [
      'another policy',
      { roles: new Map([['postgres', { ...(wellSetUp().roles.get('postgres') ?? never()), policy: 'x' }]]) },
      ['policy postgres'],
    ],
    [
      'a record of another secret_id',
      {
        consumers: new Map([
          [
            'postgres',
            {
              ...(wellSetUp().consumers.get('postgres') ?? never()),
              files: { roleId: file('id'), secretId: file('s'), issued: { superseded: [] } },
            },
          ],
        ]),
      },
      ['record postgres'],
    ],
    [
      'a secret_id that no file holds',
      { strays: new Map([['old', { ...info({ accessor: 'old' }), role: 'postgres' }]]) },
      ['prune postgres old'],
    ],
    [
      'a secret_id of somebody else',
      { strays: new Map([['old', { ...info({ metadata: {} }), role: 'postgres' }]]) },
      [],
    ],
  ])('mends %s', (_what, change, expected) => {
    expect(names(wellSetUp(change))).toEqual(expected);
  });

  it('leaves a superseded secret_id to its holder for an hour', () => {
    const at = (ageMs: number) => {
      const found = wellSetUp().consumers.get('postgres') ?? never();
      const issued = {
        accessor: 'current',
        superseded: [{ accessor: 'old', at: new Date(now.getTime() - ageMs).toISOString() }],
      };
      return wellSetUp({
        consumers: new Map([['postgres', { ...found, files: { ...found.files, issued } }]]),
        strays: new Map([['old', { ...info({ accessor: 'old' }), role: 'postgres' }]]),
      });
    };
    expect(names(at(59 * 60_000))).toEqual([]);
    expect(names(at(61 * 60_000))).toEqual(['prune postgres old']);
  });

  it('knows Vault’s spelling of one address and of the order of networks', () => {
    const settings = {
      ...settingsOf(roles[0] ?? never(), undefined),
      tokenBoundCidrs: ['172.20.2.0/24', '172.20.1.0/24'],
    };
    const two = [{ ...(roles[0] ?? never()), boundCidrs: ['172.20.1.0/24', '172.20.2.0/24'] }];
    const state = wellSetUp({
      roles: new Map([
        [
          'postgres',
          {
            ...(wellSetUp().roles.get('postgres') ?? never()),
            settings: { ...settings, secretIdBoundCidrs: settings.tokenBoundCidrs },
          },
        ],
      ]),
    });
    expect(names(state, { roles: two })).toEqual([]);
  });
});

describe('replacementReason', () => {
  const reason = (
    change: Partial<SecretIdInfo> | undefined,
    state: 'there' | 'missing' | 'empty' | 'too-open' = 'there',
  ) =>
    replacementReason(
      consumer,
      {
        files: { roleId: file('id'), secretId: state === 'there' ? file('s') : { state }, issued: { superseded: [] } },
        secretId: change === undefined ? undefined : info(change),
      },
      30 * day,
      now,
    );

  it.each<[string, string | undefined]>([
    ['missing', reason(undefined, 'missing')],
    ['empty', reason(undefined, 'empty')],
    ['too-open', reason({}, 'too-open')],
    ['does not know', reason(undefined)],
    ['another service', reason({ metadata: { service: 'mysql', issuer } })],
    ['other addresses', reason({ cidrs: ['172.20.1.12/32'] })],
    ['other addresses', reason({ tokenCidrs: [] })],
    ['expired', reason({ expirationTime: now.toISOString() })],
  ])('says that it %s', (word, said) => {
    expect(said).toContain(word);
  });

  it('says so when it never expires, and nothing when all is well', () => {
    const { expirationTime: _removed, ...forever } = info();
    const found = { files: { roleId: file('id'), secretId: file('s'), issued: { superseded: [] } }, secretId: forever };
    expect(replacementReason(consumer, found, 30 * day, now)).toBe('it never expires');
    expect(replacementReason(consumer, undefined, 30 * day, now)).toBe('the file is missing');
    expect(reason({})).toBeUndefined();
  });

  it('asks for a new one exactly when less than a third is left', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 40 * day }), (leftS) => {
        const said = reason({ expirationTime: new Date(now.getTime() + leftS * 1000).toISOString() });
        expect(said !== undefined).toBe(leftS < 10 * day);
      }),
    );
  });
});
