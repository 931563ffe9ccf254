import type { SetManifest } from '@devstack-core/backup-store';
import type { Fingerprint } from '@devstack-core/database-backup';
import { fingerprintVault } from '@devstack-core/disaster-recovery';
import { Secret } from '@devstack-core/redaction';
import { health, type Stack } from '@devstack-core/stack-lifecycle';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { storeIn } from '../test/fake-service.ts';
import { prove, servicesOf } from './prove.ts';
import { compareStack } from './stack-backup.ts';

vi.mock('./stack-backup.ts');
vi.mock('@devstack-core/stack-lifecycle');
vi.mock('@devstack-core/disaster-recovery', () => ({ fingerprintVault: vi.fn(), vaultFingerprintKey: () => 'key' }));
vi.mock('@devstack-core/vault-lifecycle', () => ({ readRootToken: () => Promise.resolve(new Secret('root-of-test')) }));

const print = (checksum: string): Fingerprint => ({
  schema: 'devstack/fingerprint/1',
  items: [
    { kind: 'secret', name: 'service/a', count: 1, checksum },
    { kind: 'policy', name: 'admin', count: 1, checksum },
  ],
});
const raft = { service: 'vault', name: 'raft', fingerprintDigest: 'd' };
const orders = { service: 'postgres', name: 'orders', fingerprintDigest: 'd' };
const configuration = {
  service: 'configuration',
  name: 'configs',
  fingerprintDigest: 'd',
  metadata: { services: ['vault'] },
};

function proof(parts: readonly object[]): Promise<{ readonly did: readonly string[] }> {
  const artifacts = [{ service: 'vault', part: 'raft', kind: 'fingerprint' }];
  const manifest = { id: 'x', parts, artifacts } as unknown as SetManifest;
  const store = {
    ...storeIn('/nowhere'),
    read: () => Promise.resolve(manifest),
    async *open() {
      await Promise.resolve();
      yield Buffer.from(JSON.stringify(print('a')));
    },
  };
  const stack = { model: { service: (name: string) => name }, directories: {}, vault: () => 'client' };
  return prove(store, stack as unknown as Stack, { set: { id: 'x' } as never, signal: undefined });
}

beforeEach(() => {
  vi.mocked(fingerprintVault).mockResolvedValue(print('a'));
  vi.mocked(compareStack).mockResolvedValue([
    { service: 'postgres', part: 'orders', consistency: 'exact', differences: [] },
  ]);
  vi.mocked(health).mockResolvedValue({ healthy: true, services: [{ service: 'vault', healthy: true }] } as never);
});

describe('the proof of a recovery', () => {
  it('says what was compared', async () => {
    expect((await proof([raft, orders, configuration])).did).toEqual([
      '1 of 1 parts are exactly as in the backup',
      '1 secrets of Vault are as in the backup',
      '1 services are healthy',
    ]);
  });

  it('says that Vault was not compared where the set has no fingerprint of it', async () => {
    const { did } = await proof([{ ...raft, fingerprintDigest: null }, orders, configuration]);
    expect(did[1]).toContain('were not compared');
  });

  it('takes neither another content, nor another secret, nor a sick service, nor a part that nobody restored', async () => {
    const difference = { kind: 'table', name: 'orders', problem: 'count', expected: 1, actual: 2 } as const;
    vi.mocked(compareStack).mockResolvedValue([
      { service: 'postgres', part: 'orders', consistency: 'exact', differences: [difference] },
      { service: 'redis', part: 'keys', consistency: 'approximate', differences: [difference] },
    ]);
    vi.mocked(fingerprintVault).mockResolvedValue(print('b'));
    vi.mocked(health).mockResolvedValue({ healthy: false, services: [{ service: 'vault', healthy: false }] } as never);
    await expect(proof([raft, orders, configuration, { service: 'mongodb', name: 'db' }])).rejects.toMatchObject({
      code: 'RECOVERY_NOT_PROVEN',
      details: {
        problems: [
          'mongodb/db was not restored',
          'postgres/orders: table orders count',
          'vault/service/a: content',
          'vault: not healthy',
        ],
      },
    });
  });
});

it('knows what ran, or starts the least that there is', () => {
  const of = (parts: readonly object[]): readonly string[] => servicesOf({ parts } as unknown as SetManifest);
  expect(of([configuration])).toEqual(['vault']);
  expect(of([])).toEqual(['vault', 'postgres']);
});
