import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, it, vi } from 'vitest';
import { fakeClient, vaultError } from '../test/fake-client.ts';
import { checkSnapshot, restoreVault, snapshotVault } from './index.ts';

const meta = JSON.stringify({ Version: 1, Index: 42 });
const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
const sums = `${sha256(meta)}  meta.json\n${sha256('state')}  state.bin\n`;
const good = archive({ 'meta.json': meta, 'state.bin': 'state', SHA256SUMS: sums });

function archive(files: Record<string, string>): Uint8Array<ArrayBuffer> {
  const blocks = Object.entries(files).flatMap(([name, content]) => {
    const header = Buffer.alloc(512);
    header.write(name, 0);
    header.write(`${content.length.toString(8).padStart(11, '0')}\0`, 124);
    return [header, Buffer.from(content.padEnd(Math.ceil(content.length / 512) * 512, '\0'))];
  });
  return new Uint8Array(gzipSync(Buffer.concat([...blocks, Buffer.alloc(1024)])));
}

describe('a snapshot', () => {
  it('is checked and written for the owner alone', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'vault-lifecycle-'));
    const client = fakeClient({ snapshot: () => Promise.resolve(good) });
    expect(await snapshotVault({ client })).toMatchObject({ sizeBytes: good.byteLength, raftIndex: 42 });
    await snapshotVault({ client, file: join(directory, 'snap') });
    expect(new Uint8Array(await readFile(join(directory, 'snap')))).toEqual(good);
    await rm(directory, { recursive: true });
  });

  it.each([
    ['empty', new Uint8Array(0)],
    ['cut off', good.subarray(0, -12)],
    ['no archive', new Uint8Array(gzipSync('x'.repeat(600)))],
    ['without its checksums', archive({ 'meta.json': meta, 'state.bin': 'state' })],
    ['without its state', archive({ 'meta.json': meta, SHA256SUMS: sums })],
    ['changed', archive({ 'meta.json': meta, 'state.bin': 'State', SHA256SUMS: sums })],
  ])('that is %s is refused before Vault is asked', async (_name, data) => {
    expect(() => checkSnapshot(data)).toThrow(expect.objectContaining({ code: 'VAULT_SNAPSHOT_DAMAGED' }));
    await expect(restoreVault({ client: fakeClient({}), data })).rejects.toMatchObject({
      code: 'VAULT_SNAPSHOT_DAMAGED',
    });
  });

  it('of another Vault is waited for until Vault has sealed itself', async () => {
    const restored: boolean[] = [];
    let asked = 0;
    const client = fakeClient({
      restoreSnapshot(_data, options) {
        restored.push(options?.force === true);
        return options?.force === true
          ? Promise.resolve()
          : Promise.reject(vaultError('VAULT_REQUEST_FAILED', { reason: 'other-keys' }));
      },
      health: () => Promise.resolve({ initialized: true, sealed: asked++ > 1, standby: false, version: '1' }),
    });
    await expect(restoreVault({ client, data: good })).rejects.toMatchObject({ code: 'VAULT_SNAPSHOT_FOREIGN' });
    expect(await restoreVault({ client, data: good, force: true })).toEqual({ sealed: true });
    expect(restored).toEqual([false, false, true]);
  });

  it('that Vault never loads is told', async () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    const client = fakeClient({
      restoreSnapshot: (_data, options) =>
        options?.force === true ? Promise.resolve() : Promise.reject(vaultError('X', { reason: 'other-keys' })),
      health() {
        vi.advanceTimersByTime(20_000);
        return Promise.resolve({ initialized: true, sealed: false, standby: false, version: '1' });
      },
    });
    await expect(restoreVault({ client, data: good, force: true })).rejects.toMatchObject({ code: 'VAULT_NOT_ACTIVE' });
    vi.useRealTimers();
  });

  it('that Vault refuses for another reason is told as it is', async () => {
    const client = fakeClient({ restoreSnapshot: () => Promise.reject(vaultError('VAULT_PERMISSION_DENIED')) });
    await expect(restoreVault({ client, data: good, force: true })).rejects.toMatchObject({
      code: 'VAULT_PERMISSION_DENIED',
    });
  });
});
