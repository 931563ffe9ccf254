import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { connect, createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createVaultClient } from '@devstack-core/vault-client';
import { startVault } from '@devstack-core/vault-testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runProbe } from '../test/run-probe.ts';
import { initializeVault, keyFilePaths, readKeys, readRootToken, unsealVault } from './index.ts';

let root: string;
let count = 0;
const newDirectory = (): string => join(root, `vault-${String(count++)}`);
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'vault-lifecycle-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

describe('the first initialisation', () => {
  it('makes 5 keys of which 3 open it, saves them for the owner alone, and does it once', async () => {
    await using vault = await startVault({ state: 'new' });
    const directory = newDirectory();
    const client = createVaultClient(vault.clientOptions);
    const events: string[] = [];
    const onEvent = ({ type }: { type: string }): void => void events.push(type);
    expect(await initializeVault({ client, directory, onEvent })).toEqual({
      outcome: 'initialized',
      keysFile: join(directory, 'keys.json'),
    });
    expect(events).toEqual([
      'init-prepared',
      'init-intent-written',
      'init-committed',
      'root-token-written',
      'keys-written',
      'init-finished',
    ]);
    expect((await readdir(directory)).sort()).toEqual(['keys.json', 'root-token']);
    for (const name of ['keys.json', 'root-token'])
      expect((await stat(join(directory, name))).mode & 0o777).toBe(0o600);
    expect((await stat(directory)).mode & 0o777).toBe(0o700);
    expect(await client.sealStatus()).toMatchObject({ initialized: true, sealed: true, shares: 5, threshold: 3 });

    const before = await readFile(join(directory, 'keys.json'), 'utf8');
    expect(await initializeVault({ client, directory })).toMatchObject({ outcome: 'already' });
    expect(await readFile(join(directory, 'keys.json'), 'utf8')).toBe(before);

    expect(await unsealVault({ client, directory })).toEqual({ outcome: 'unsealed' });
    expect(await unsealVault({ client, directory })).toEqual({ outcome: 'already' });
    expect((await readKeys({ directory })).clusterId).toBe((await client.sealStatus()).clusterId);
    expect(await client.withToken(await readRootToken({ directory })).lookupSelf()).toMatchObject({
      policies: ['root'],
    });
  });
});

// Which step each kill hits is part of the expectation: the lines are the steps that were finished when it died.
// Which step each kill hits is part of the expectation: the lines are the steps that were finished when it died.
describe('numbers that Vault cannot share a key into', () => {
  it.each([
    [0, 0],
    [2, 1],
    [3, 4],
    [256, 3],
    [2.5, 2],
  ])('%s keys of which %s open it are refused before anything is written', async (shares, threshold) => {
    await using vault = await startVault({ state: 'new' });
    const directory = newDirectory();
    await expect(
      initializeVault({ client: createVaultClient(vault.clientOptions), directory, shares, threshold }),
    ).rejects.toMatchObject({ code: 'VAULT_BAD_SHARES' });
    expect(await readdir(directory)).toEqual([]);
  });
});

describe('killed after', () => {
  it.each([
    { killAt: 'init-prepared', steps: 1, then: 'initialises' },
    { killAt: 'init-intent-written', steps: 2, then: 'initialises' },
    { killAt: 'init-committed', steps: 3, then: 'knows that the keys were never saved' },
    { killAt: 'root-token-written', steps: 4, then: 'knows that the keys were never saved' },
    { killAt: 'keys-written', steps: 5, then: 'finds it done' },
    { killAt: 'init-finished', steps: 6, then: 'finds it done' },
  ])('$killAt, the next run $then', async ({ killAt, steps, then }) => {
    await using vault = await startVault({ state: 'new' });
    const directory = newDirectory();
    const killed = await runProbe({ address: vault.address, directory, killAt });
    expect(killed).toMatchObject({ signal: 'SIGKILL' });
    expect(killed.lines).toEqual(
      [
        'init-prepared',
        'init-intent-written',
        'init-committed',
        'root-token-written',
        'keys-written',
        'init-finished',
      ].slice(0, steps),
    );

    const next = await runProbe({ address: vault.address, directory });
    if (then === 'initialises') expect(next.lines.at(-1)).toBe('initialized');
    if (then === 'finds it done') expect(next.lines).toEqual(['already']);
    if (then === 'knows that the keys were never saved') {
      expect(JSON.parse(next.lines.at(-1) ?? '')).toMatchObject({
        code: 'VAULT_KEYS_NEVER_SAVED',
        details: { safeToStartOver: true },
      });
      // Starting over: the same folder, a Vault whose data was wiped.
      await using wiped = await startVault({ state: 'new' });
      expect((await runProbe({ address: wiped.address, directory })).lines.at(-1)).toBe('initialized');
      await opens(wiped.address, directory);
      return;
    }
    await opens(vault.address, directory);
  });

  it('Vault committed and before it answered, the next run knows that the keys were never saved', async () => {
    await using vault = await startVault({ state: 'new' });
    const directory = newDirectory();
    // Lets everything through to Vault and swallows its answer to the initialisation.
    let committed: () => void = () => undefined;
    const swallowed = new Promise<void>((resolve) => (committed = resolve));
    const proxy = createServer((inbound) => {
      const outbound = connect(vault.port, '127.0.0.1');
      let initialising = false;
      inbound.on('data', (chunk) => {
        initialising ||= chunk.toString('latin1').includes('POST /v1/sys/init');
        outbound.write(chunk);
      });
      outbound.on('data', (chunk) => {
        if (!initialising) return void inbound.write(chunk);
        inbound.destroy();
        committed();
      });
      for (const socket of [inbound, outbound]) socket.on('error', () => undefined);
      inbound.on('close', () => outbound.destroy());
    });
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
    const address = `http://127.0.0.1:${String((proxy.address() as AddressInfo).port)}`;
    const cut = await runProbe({ address, directory });
    await swallowed;
    proxy.close();
    expect(cut.lines.slice(0, 2)).toEqual(['init-prepared', 'init-intent-written']);
    expect(JSON.parse(cut.lines.at(-1) ?? '')).toMatchObject({
      code: 'VAULT_UNREACHABLE',
      details: { outcome: 'unknown' },
    });
    expect(await createVaultClient({ address: vault.address }).sealStatus()).toMatchObject({ initialized: true });
    const next = await runProbe({ address: vault.address, directory });
    expect(JSON.parse(next.lines.at(-1) ?? '')).toMatchObject({ code: 'VAULT_KEYS_NEVER_SAVED' });
  });

  async function opens(address: string, directory: string): Promise<void> {
    expect(await readdir(directory)).toEqual(['keys.json', 'root-token']);
    expect(await unsealVault({ client: createVaultClient({ address }), directory })).toEqual({ outcome: 'unsealed' });
  }
});

describe('keys that are not what they should be', () => {
  it('are lost where the file is gone, and never said to be safe to give up', async () => {
    await using vault = await startVault({ state: 'new' });
    const directory = newDirectory();
    const client = createVaultClient(vault.clientOptions);
    await initializeVault({ client, directory, shares: 1, threshold: 1 });
    const paths = keyFilePaths(directory);
    const keys = await readFile(paths.keys);
    await rm(paths.keys);
    await expect(initializeVault({ client, directory })).rejects.toMatchObject({
      code: 'VAULT_KEYS_LOST',
      details: { safeToStartOver: false },
    });
    await expect(unsealVault({ client, directory })).rejects.toMatchObject({ code: 'VAULT_KEYS_LOST' });

    // A marker alone is no permission: the caller may know better, and an unsealed Vault has been opened by somebody.
    await writeFile(paths.intent, '{}', { mode: 0o600 });
    await expect(initializeVault({ client, directory, bootstrapped: true })).rejects.toMatchObject({
      code: 'VAULT_KEYS_LOST',
    });
    await expect(initializeVault({ client, directory })).rejects.toMatchObject({ code: 'VAULT_KEYS_NEVER_SAVED' });
    await writeFile(paths.keys, keys, { mode: 0o600 });
    await unsealVault({ client, directory });
    await rm(paths.keys);
    await expect(initializeVault({ client, directory })).rejects.toMatchObject({
      code: 'VAULT_KEYS_LOST',
      details: { safeToStartOver: false },
    });
    expect(await unsealVault({ client, directory })).toEqual({ outcome: 'already' });
  });

  it('are damaged where the file holds something else, which stays as it is', async () => {
    await using vault = await startVault({ state: 'new' });
    const directory = newDirectory();
    const client = createVaultClient(vault.clientOptions);
    await initializeVault({ client, directory, shares: 1, threshold: 1 });
    const keys = keyFilePaths(directory).keys;
    const good = await readFile(keys, 'utf8');
    const bad = [
      '', '{', 'null', '[]', '7', '\0\0', good.slice(0, -20), good.replace('"version": 1', '"version": 2'), good.replace(/"threshold": 1/, '"threshold": 2'),
      good.replace(/[0-9a-f]{64}/, 'not a key'), good.replace(/"created": "/, '"created": 5, "x": "'), good.replace('"shares": 1', '"shares": "1"'),
    ]; // prettier-ignore
    for (const content of bad) {
      await writeFile(keys, content, { mode: 0o600 });
      for (const work of [initializeVault, unsealVault]) {
        await expect(work({ client, directory }), content).rejects.toMatchObject({ code: 'VAULT_KEYS_DAMAGED' });
      }
      expect(await readFile(keys, 'utf8')).toBe(content);
    }
    await writeFile(keys, good);
    expect(await unsealVault({ client, directory })).toEqual({ outcome: 'unsealed' });
  });

  it('are refused where others may read them, with the command that mends it', async () => {
    await using vault = await startVault({ state: 'new' });
    const directory = newDirectory();
    const client = createVaultClient(vault.clientOptions);
    await initializeVault({ client, directory, shares: 1, threshold: 1 });
    await chmod(keyFilePaths(directory).keys, 0o644);
    await expect(unsealVault({ client, directory })).rejects.toMatchObject({
      code: 'FILE_TOO_OPEN',
      hint: expect.stringContaining('chmod') as string,
    });
    expect(await client.sealStatus()).toMatchObject({ sealed: true });
  });

  it('are of another Vault, which shows in the number of shares, in the unseal, in the cluster, and in a new Vault', async () => {
    await using first = await startVault({ state: 'new' });
    await using second = await startVault({ state: 'new' });
    const [own, other] = [newDirectory(), newDirectory()];
    const [client, stranger] = [createVaultClient(first.clientOptions), createVaultClient(second.clientOptions)];
    await initializeVault({ client, directory: own, shares: 2, threshold: 2 });

    const untouched = await readFile(keyFilePaths(own).keys, 'utf8');
    await expect(initializeVault({ client: stranger, directory: own })).rejects.toMatchObject({
      code: 'VAULT_KEYS_FOREIGN',
      message: expect.stringContaining('is new') as string,
    });
    expect(await stranger.sealStatus()).toMatchObject({ initialized: false });

    await initializeVault({ client: stranger, directory: other, shares: 2, threshold: 2 });
    await expect(unsealVault({ client: stranger, directory: own })).rejects.toMatchObject({
      code: 'VAULT_KEYS_FOREIGN',
    });
    // The refused keys are not left behind in Vault's own count.
    expect(await unsealVault({ client: stranger, directory: other })).toEqual({ outcome: 'unsealed' });
    await unsealVault({ client, directory: own });
    await expect(unsealVault({ client: stranger, directory: own })).rejects.toMatchObject({
      code: 'VAULT_KEYS_FOREIGN',
      message: expect.stringContaining('cluster') as string,
    });

    await using third = await startVault({ state: 'sealed', shares: 3, threshold: 2 });
    for (const work of [initializeVault, unsealVault]) {
      await expect(work({ client: createVaultClient(third.clientOptions), directory: own })).rejects.toMatchObject({
        code: 'VAULT_KEYS_FOREIGN',
        message: expect.stringContaining('2 of 3') as string,
      });
    }
    expect(JSON.parse(await readFile(keyFilePaths(own).keys, 'utf8'))).toMatchObject({
      keys: (JSON.parse(untouched) as { keys: string[] }).keys,
    });
  });
});

describe('a disk that is full', () => {
  // A container gives the test a file system of its own size, whoever runs it; Vault is reached through its own network.
  const onSmallDisk = (name: string, sizeKilobytes: number): string[] => [
    'docker', 'run', '--rm', '-i', '--network', `container:${name}`, '--user', '0:0', '--tmpfs', `/small:size=${String(sizeKilobytes)}k,mode=0700`,
    '-v', `${repository}:${repository}:ro`, '--entrypoint', 'node', 'devstack/vault:local',
  ]; // prettier-ignore
  const repository = join(import.meta.dirname, '../../../..');
  const input = { address: 'http://127.0.0.1:8200', directory: '/small/vault' };

  it('before the start leaves Vault as it was', async () => {
    await using vault = await startVault({ state: 'new' });
    const full = await runProbe(input, onSmallDisk(vault.name, 64));
    expect(JSON.parse(full.lines.at(-1) ?? '')).toMatchObject({ code: 'DISK_FULL' });
    expect(await createVaultClient(vault.clientOptions).sealStatus()).toMatchObject({ initialized: false });
  });

  it('when everything is prepared still has room for the keys', async () => {
    await using vault = await startVault({ state: 'new' });
    const { lines } = await runProbe({ ...input, fillAt: 'init-committed' }, onSmallDisk(vault.name, 2048));
    expect(lines.slice(-3)).toEqual(['keys-written', 'init-finished', 'initialized']);
  });

  it("on Vault's own side never costs keys: the next run knows that it may start over", async () => {
    await using vault = await startVault({ state: 'new', storage: 'raft', dataSizeMegabytes: 4 });
    await vault.exec('sh', '-c', 'dd if=/dev/zero of=/vault/data/filler bs=64k || true');
    const directory = newDirectory();
    const failed = await runProbe({ address: vault.address, directory });
    expect(JSON.parse(failed.lines.at(-1) ?? '')).toMatchObject({
      code: 'VAULT_REQUEST_FAILED',
      message: expect.stringContaining('no space left') as string,
    });
    await vault.exec('rm', '/vault/data/filler');
    const next = await runProbe({ address: vault.address, directory });
    expect(JSON.parse(next.lines.at(-1) ?? '')).toMatchObject({
      code: 'VAULT_KEYS_NEVER_SAVED',
      details: { safeToStartOver: true },
    });
  });
});
