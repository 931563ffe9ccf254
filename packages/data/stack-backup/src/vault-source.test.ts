import type { Fingerprint } from '@devstack-core/database-backup';
import { fingerprintVault } from '@devstack-core/disaster-recovery';
import { Secret } from '@devstack-core/redaction';
import type { Stack } from '@devstack-core/stack-lifecycle';
import type { VaultClient } from '@devstack-core/vault-client';
import { snapshotVault } from '@devstack-core/vault-lifecycle';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { temporaryFolder } from '../test/folder.ts';
import { bytesOf } from './set-files.ts';
import { openVaultParts } from './vault-source.ts';

vi.mock('@devstack-core/disaster-recovery', () => ({ fingerprintVault: vi.fn(), vaultFingerprintKey: () => 'key' }));
vi.mock('@devstack-core/vault-lifecycle', () => ({
  readRootToken: () => Promise.resolve(new Secret('root-of-test')),
  snapshotVault: vi.fn(),
}));

const print = (checksum: string): Fingerprint => ({
  schema: 'devstack/fingerprint/1',
  items: [{ kind: 'secret', name: 'a', count: 1, checksum }],
});

async function parts(configDirectory: string): Promise<Awaited<ReturnType<typeof Array.fromAsync<Part>>>> {
  const client = { health: () => Promise.resolve({ version: '1.20.0' }) } as unknown as VaultClient;
  const stack = { project: { configDirectory }, directories: {}, vault: () => client } as unknown as Stack;
  const image = { name: 'vault:local', id: 'x' };
  return Array.fromAsync(openVaultParts(stack, { client, image, signal: new AbortController().signal }));
}
type Part = ReturnType<typeof openVaultParts> extends AsyncGenerator<infer P> ? P : never;

describe("Vault's parts", () => {
  it('are its files, without locks and journals, and a snapshot of one moment', async () => {
    await using folder = await temporaryFolder();
    for (const name of ['vault', 'state/stack.lock']) await mkdir(join(folder.path, name), { recursive: true });
    for (const name of ['vault/keys.json', 'state/stack.lock/1', 'compose.env'])
      await writeFile(join(folder.path, name), 'x', { mode: 0o600 });
    const snapshot = Buffer.from('snapshot');
    vi.mocked(snapshotVault).mockResolvedValue({ data: snapshot } as never);
    const [files, raft] = await parts(folder.path);
    expect([files?.kind, raft?.kind]).toEqual(['vault-files', 'vault-raft']);
    const names = (await files?.fingerprint())?.items.map(({ name }) => name).join(' ') ?? '';
    expect(names).toContain('keys.json');
    expect(names).not.toMatch(/compose\.env|stack\.lock/);
    // Written to once meanwhile: it is taken again.
    const seen = ['1', '2', '3', '3'];
    vi.mocked(fingerprintVault).mockImplementation(() => Promise.resolve(print(seen.shift() ?? 'x')));
    expect(await raft?.fingerprint()).toEqual(print('3'));
    expect(await bytesOf(raft?.content() ?? ([] as never))).toEqual(snapshot);
    const [, again] = await parts(folder.path);
    expect(await bytesOf(again?.content() ?? ([] as never))).toEqual(snapshot);
  });

  it('are none where Vault is written to all the time', async () => {
    await using folder = await temporaryFolder();
    let count = 0;
    vi.mocked(fingerprintVault).mockImplementation(() => Promise.resolve(print(String((count += 1)))));
    const [, raft] = await parts(folder.path);
    await expect(raft?.fingerprint()).rejects.toMatchObject({ code: 'DUMP_FAILED' });
    expect(count).toBe(10);
  });
});
