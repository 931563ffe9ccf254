import { readdir, readFile } from 'node:fs/promises';
import { Secret } from '@devstack-core/redaction';
import { createVaultClient, type VaultClient } from '@devstack-core/vault-client';
import { startVault, type VaultContainer } from '@devstack-core/vault-testing';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { runChild } from '../test/children.ts';
import { passphrase, rootFolder, serve, type RootFolder } from '../test/served.ts';
import {
  ensurePki,
  issueLeaf,
  openRoot,
  probeTls,
  readLeaf,
  renew,
  retireRoot,
  rotateRoot,
  type PkiRole,
  type RotationStep,
} from './index.ts';

const roles: readonly PkiRole[] = [{ name: 'server', dnsNames: ['server'], ipAddresses: true }];
let vault: VaultContainer;
let client: VaultClient;
let folder: RootFolder;

beforeAll(async () => {
  vault = await startVault();
  client = createVaultClient(vault.clientOptions);
});
afterAll(async () => vault.remove());

beforeEach(async () => {
  await client.disableMount('pki');
  folder = await rootFolder();
  await ensurePki({ client, root: folder.root, roles });
  return () => folder[Symbol.asyncDispose]();
});

const issue = () => issueLeaf({ client, role: 'server', commonName: 'server', ipAddresses: ['127.0.0.1'] });
const directoryOf = (): string => folder.root.directory;

describe('an exchange of roots', () => {
  it('keeps every certificate accepted, by old clients and new ones, until the old root is retired', async () => {
    await using server = await serve(folder, 'server');
    const options = { ...server.options, issue };
    await renew({ ...options, force: true });
    const oldBundle = folder.root.bundlePem;
    const look = async (ca: string) =>
      (await probeTls({ host: '127.0.0.1', port: server.port, servername: 'server', ca })).verdict;
    expect(await look(oldBundle)).toBe('ok');

    let delivered = '';
    const { root, previousId } = await rotateRoot({
      client,
      directory: directoryOf(),
      passphrase,
      roles,
      deliver: async ({ caBundlePem }) => {
        delivered = caBundlePem;
        const { installed } = await renew({ ...options, caBundlePem });
        expect(installed.caBundlePem).toBe(caBundlePem);
      },
    });
    expect(previousId).toBe(folder.root.id);
    expect(root.id).not.toBe(previousId);
    expect(delivered.match(/BEGIN CERTIFICATE/g)).toHaveLength(2);
    const newOnly = root.certificatePem;
    // What is served is still of the old root: only who has the bundle of both accepts it, and will accept what comes next.
    expect([await look(oldBundle), await look(delivered), await look(newOnly)]).toEqual(['ok', 'ok', 'untrusted']);

    const chainOf = async (): Promise<string> => readFile((await readLeaf(server.directory)).paths.certificate, 'utf8');
    const retire = async () =>
      retireRoot({
        client,
        directory: directoryOf(),
        roles,
        inUse: [{ service: 'server', chainPem: await chainOf() }],
      });
    await expect(retire()).rejects.toMatchObject({ code: 'ROOT_STILL_USED', details: { services: ['server'] } });

    await renew({ ...options, force: true });
    expect([await look(oldBundle), await look(delivered), await look(newOnly)]).toEqual(['untrusted', 'ok', 'ok']);
    const { retired } = await retire();
    expect(retired).toEqual([previousId]);
    expect((await client.listPkiIssuers()).length).toBe(2);
    expect((await client.listPkiKeys()).length, 'the intermediate kept its key').toBe(1);
    expect((await readdir(directoryOf())).filter((name) => name.includes(previousId))).toEqual([]);
    expect((await issue()).caBundlePem).toBe(newOnly);
    expect((await openRoot({ directory: directoryOf() })).bundlePem).toBe(newOnly);
  });

  it('repeated, makes no third root; retired twice, changes nothing', async () => {
    const options = { client, directory: directoryOf(), passphrase, roles };
    const first = await rotateRoot(options);
    const second = await rotateRoot(options);
    expect([second.root.id, second.previousId, second.pki.changed]).toEqual([first.root.id, first.previousId, []]);
    await retireRoot({ ...options, inUse: [] });
    expect(await retireRoot({ ...options, inUse: [] })).toMatchObject({ retired: [], pki: { changed: [] } });
    expect((await rotateRoot(options)).root.id).not.toBe(first.root.id);
  });

  it('stops before anything new is presented when the bundle cannot be delivered, and goes on with the same root', async () => {
    const options = { client, directory: directoryOf(), passphrase, roles };
    const deliver = () => Promise.reject(new Error('unplugged'));
    await expect(rotateRoot({ ...options, deliver })).rejects.toThrow('unplugged');
    const { state, id } = await openRoot({ directory: directoryOf() });
    expect(id).toBe(folder.root.id);
    expect((await issue()).chainPem).toBeTruthy();
    expect((await rotateRoot(options)).root.id).toBe(state.next);
  });
});

const rotationSteps: readonly RotationStep[] = [
  'root-made',
  'trusted',
  'published',
  'delivered',
  'intermediate-signed',
  'switched',
];

describe('an exchange that is killed', () => {
  const run = (what: string, killAt: string) =>
    runChild('rotation-child.ts', {
      ...vault.clientOptions,
      token: vault.rootToken.reveal(),
      what,
      directory: directoryOf(),
      passphrase: passphrase.reveal(),
      killAt,
      roles,
    });

  it.each(rotationSteps)(
    'at "%s" still issues what old clients accept, and ends as one that was not',
    async (killAt) => {
      const before = await issue();
      expect(await run('rotate', killAt)).toEqual({ signal: 'SIGKILL', said: `killed at ${killAt}` });
      const between = await issue();
      // From the first publication on there are two roots to trust, and whatever is signed is vouched for by one of them.
      const isOneRoot = killAt === 'root-made' || killAt === 'trusted';
      expect(between.caBundlePem.match(/BEGIN CERTIFICATE/g)).toHaveLength(isOneRoot ? 1 : 2);
      expect(between.caBundlePem).toContain(before.caBundlePem);
      const { root } = await rotateRoot({ client, directory: directoryOf(), passphrase, roles });
      expect(root.state).toMatchObject({ active: root.id, retiring: [{ id: folder.root.id }] });
      expect(root.state.next).toBeUndefined();
      expect((await client.listPkiIssuers()).length, 'two roots, and the intermediate by each').toBe(4);
      expect((await client.listPkiKeys()).length).toBe(1);
      expect((await readdir(directoryOf())).filter((name) => name.endsWith('.key'))).toHaveLength(2);
      await issue();
    },
  );

  it.each(['trusted', 'published', 'retired'])('at "%s" of the retirement ends as one that was not', async (killAt) => {
    await rotateRoot({ client, directory: directoryOf(), passphrase, roles });
    expect(await run('retire', killAt)).toEqual({ signal: 'SIGKILL', said: `killed at ${killAt}` });
    await retireRoot({ client, directory: directoryOf(), roles, inUse: [] });
    expect((await client.listPkiIssuers()).length).toBe(2);
    expect((await readdir(directoryOf())).filter((name) => name.endsWith('.key'))).toHaveLength(1);
    await issue();
  });

  it('needs the passphrase: a wrong one for the same root stops before anything is presented', async () => {
    expect(await run('rotate', 'delivered')).toMatchObject({ signal: 'SIGKILL' });
    await expect(
      rotateRoot({ client, directory: directoryOf(), passphrase: new Secret('wrong'), roles }),
    ).rejects.toMatchObject({ code: 'ROOT_PASSPHRASE_WRONG' });
    expect((await openRoot({ directory: directoryOf() })).id).toBe(folder.root.id);
  });
});
