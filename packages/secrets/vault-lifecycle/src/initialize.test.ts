import { mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fakeClient, initResult, status, vaultError } from '../test/fake-client.ts';
import { initializeVault, keyFilePaths, readKeys, readRootToken } from './index.ts';

let root: string;
let directory: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'vault-lifecycle-'));
  directory = join(root, 'vault');
});
afterEach(() => rm(root, { recursive: true }));

const fresh = { sealStatus: () => Promise.resolve(status({ initialized: false })) };

describe('initializeVault', () => {
  it('writes the marker and the reserve before Vault is asked, and both files after', async () => {
    const during: string[][] = [];
    const client = fakeClient({
      ...fresh,
      async init(options) {
        during.push(await readdir(directory));
        expect(options).toEqual({ shares: 5, threshold: 3 });
        return initResult();
      },
    });
    const now = (): Date => new Date('2030-01-02T03:04:05Z');
    expect(await initializeVault({ client, directory, now })).toEqual({
      outcome: 'initialized',
      keysFile: join(directory, 'keys.json'),
    });
    expect(during).toEqual([['.init-reserve', 'init-intent.json']]);
    expect(await readdir(directory)).toEqual(['keys.json', 'root-token']);
    expect(JSON.parse(await readFile(join(directory, 'keys.json'), 'utf8'))).toEqual({
      version: 1,
      shares: 5,
      threshold: 3,
      keys: initResult().keys.map((key) => key.reveal()),
      created: '2030-01-02T03:04:05.000Z',
    });
    expect((await readRootToken({ directory })).reveal()).toBe('hvs.the-root-token');
    expect(inspect(await readKeys({ directory }), { depth: Infinity, showHidden: true })).not.toMatch(/0{64}|1{64}/);
  });

  it.each([
    ['not sent', vaultError('VAULT_UNREACHABLE', { outcome: 'not-sent' }), 'VAULT_UNREACHABLE', false],
    ['done by someone else', vaultError('VAULT_ALREADY_INITIALIZED'), 'VAULT_KEYS_LOST', false],
    ['unanswered', vaultError('VAULT_UNREACHABLE', { outcome: 'unknown' }), 'VAULT_UNREACHABLE', true],
    ['refused, perhaps half done', vaultError('VAULT_REQUEST_FAILED', { status: 400 }), 'VAULT_REQUEST_FAILED', true],
    ['broken by something else', new TypeError('odd'), undefined, true],
  ])('keeps the marker only where Vault may have begun: %s', async (_name, error, code, marker) => {
    const client = fakeClient({ ...fresh, init: () => Promise.reject(error) });
    await expect(initializeVault({ client, directory })).rejects.toMatchObject(code === undefined ? error : { code });
    expect((await readdir(directory)).includes('init-intent.json')).toBe(marker);
    expect((await readdir(directory)).includes('keys.json')).toBe(false);
  });

  it('does not take an answer without keys for an initialisation', async () => {
    const client = fakeClient({ ...fresh, init: () => Promise.resolve(initResult(2)) });
    await expect(initializeVault({ client, directory })).rejects.toMatchObject({
      code: 'VAULT_INIT_INCOMPLETE',
      details: { safeToStartOver: true },
    });
    expect(await readdir(directory)).toContain('init-intent.json');
  });

  it.each([
    [
      'half initialised, with the marker',
      true,
      false,
      { code: 'VAULT_KEYS_NEVER_SAVED', details: { safeToStartOver: true } },
    ],
    ['half initialised, without a marker', false, false, { code: 'VAULT_REQUEST_FAILED' }],
    ['half initialised, and known to have been in use', true, true, { code: 'VAULT_REQUEST_FAILED' }],
  ])('%s', async (_name, marker, bootstrapped, expected) => {
    const client = fakeClient({ ...fresh, init: () => Promise.reject(vaultError('VAULT_REQUEST_FAILED')) });
    if (marker) await initializeVault({ client, directory }).catch(() => undefined);
    const half = fakeClient({
      sealStatus: () => Promise.reject(vaultError('VAULT_REQUEST_FAILED', { reason: 'half-initialized' })),
    });
    await expect(initializeVault({ client: half, directory, bootstrapped })).rejects.toMatchObject(expected);
  });

  it('starts over in the same folder once the data is wiped', async () => {
    await initializeVault({
      client: fakeClient({ ...fresh, init: () => Promise.reject(new TypeError('killed')) }),
      directory,
    }).catch(() => undefined);
    const client = fakeClient({ sealStatus: () => Promise.resolve(status()) });
    await expect(initializeVault({ client, directory })).rejects.toMatchObject({ code: 'VAULT_KEYS_NEVER_SAVED' });
    await initializeVault({ client: fakeClient({ ...fresh, init: () => Promise.resolve(initResult()) }), directory });
    expect(await readdir(directory)).toEqual(['keys.json', 'root-token']);
  });

  it('cleans up after a run that was killed when its keys were safe', async () => {
    await initializeVault({ client: fakeClient({ ...fresh, init: () => Promise.resolve(initResult()) }), directory });
    await writeFile(keyFilePaths(directory).intent, '{}', { mode: 0o600 });
    await writeFile(keyFilePaths(directory).reserve, '', { mode: 0o600 });
    const client = fakeClient({ sealStatus: () => Promise.resolve(status()) });
    expect(await initializeVault({ client, directory })).toMatchObject({ outcome: 'already' });
    expect(await readdir(directory)).toEqual(['keys.json', 'root-token']);
  });

  it('refuses a folder that is a link, before Vault is asked', async () => {
    await symlink(root, directory);
    await expect(initializeVault({ client: fakeClient({}), directory })).rejects.toMatchObject({
      code: expect.any(String) as string,
    });
  });

  it.each([[0, 0], [2, 1], [3, 4], [256, 3], [2.5, 2]])('refuses %s keys of which %s open it before anything is written', async (shares, threshold) => {
    await expect(initializeVault({ client: fakeClient(fresh), directory, shares, threshold })).rejects.toMatchObject({ code: 'VAULT_BAD_SHARES' });
    expect(await readdir(directory)).toEqual([]);
  }); // prettier-ignore

  it('tells keys that are lost and keys of another Vault', async () => {
    const sealed = fakeClient({ sealStatus: () => Promise.resolve(status()) });
    await expect(initializeVault({ client: sealed, directory })).rejects.toMatchObject({
      code: 'VAULT_KEYS_LOST',
      details: { safeToStartOver: false },
    });
    await writeFile(keyFilePaths(directory).intent, '{}', { mode: 0o600 });
    const open = fakeClient({ sealStatus: () => Promise.resolve(status({ sealed: false })) });
    await expect(initializeVault({ client: open, directory })).rejects.toMatchObject({ code: 'VAULT_KEYS_LOST' });
    await expect(initializeVault({ client: sealed, directory, bootstrapped: true })).rejects.toMatchObject({
      code: 'VAULT_KEYS_LOST',
    });
    await initializeVault({ client: fakeClient({ ...fresh, init: () => Promise.resolve(initResult()) }), directory });
    await expect(initializeVault({ client: fakeClient(fresh), directory })).rejects.toMatchObject({
      code: 'VAULT_KEYS_FOREIGN',
    });
    const other = fakeClient({ sealStatus: () => Promise.resolve(status({ shares: 1, threshold: 1 })) });
    await expect(initializeVault({ client: other, directory })).rejects.toMatchObject({ code: 'VAULT_KEYS_FOREIGN' });
  });

  it('ends where a listener throws', async () => {
    const client = fakeClient({ ...fresh, init: () => Promise.resolve(initResult()) });
    const onEvent = ({ type }: { type: string }): void => {
      if (type === 'init-intent-written') throw new RangeError('enough');
    };
    await expect(initializeVault({ client, directory, onEvent })).rejects.toThrow('enough');
    expect(await readdir(directory)).not.toContain('keys.json');
  });
});
