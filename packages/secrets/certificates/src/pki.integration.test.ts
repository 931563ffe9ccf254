import 'reflect-metadata';
import { X509Certificate } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Secret } from '@devstack-core/redaction';
import { createVaultClient, type VaultClient } from '@devstack-core/vault-client';
import { startVault, type VaultContainer } from '@devstack-core/vault-testing';
import * as x509 from '@peculiar/x509';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { runChild } from '../test/children.ts';
import {
  createRoot,
  ensurePki,
  issueLeaf,
  openRoot,
  type PkiEvent,
  type PkiRole,
  type RootAuthority,
} from './index.ts';

const passphrase = new Secret('correct horse battery staple');
const roles: readonly PkiRole[] = [
  { name: 'postgres', dnsNames: ['postgres', 'postgres.devstack.test'], ipAddresses: true },
  { name: 'reference-api', dnsNames: ['reference-api'], server: false, client: true, ttlS: 3600 },
];
const day = 86_400_000;

let vault: VaultContainer;
let client: VaultClient;
let folder: string;
let root: RootAuthority;

beforeAll(async () => {
  vault = await startVault();
  client = createVaultClient(vault.clientOptions);
  folder = await mkdtemp(join(tmpdir(), 'certificates-pki-'));
  root = await createRoot({ directory: join(folder, 'root'), passphrase });
});
afterAll(async () => {
  await vault.remove();
  await rm(folder, { recursive: true, force: true });
});

describe('ensurePki', () => {
  beforeEach(async () => client.disableMount('pki'));

  it('sets up an intermediate of our root whose key is in Vault, and roles that are exact', async () => {
    const report = await ensurePki({ client, root, roles });
    expect(report.changed).toEqual([
      'mount pki',
      'tidying',
      `root-${root.id}`,
      'intermediate',
      'issuer',
      'role postgres',
      'role reference-api',
    ]);
    const intermediate = new X509Certificate(report.intermediate.certificatePem);
    expect(intermediate.checkIssued(new X509Certificate(root.certificatePem))).toBe(true);
    expect(intermediate.verify(new X509Certificate(root.certificatePem).publicKey)).toBe(true);
    expect(basicConstraints(report.intermediate.certificatePem)).toEqual({ ca: true, pathLength: 0, critical: true });
    expect(basicConstraints(root.certificatePem)).toEqual({ ca: true, pathLength: 1, critical: true });
    expect(await client.readPkiRole('postgres')).toMatchObject({
      allowedDomains: ['postgres', 'postgres.devstack.test'],
      allowSubdomains: false,
      serverFlag: true,
      clientFlag: false,
    });
  });

  it('changes nothing the second time, without the passphrase and without a request that could', async () => {
    await ensurePki({ client, root, roles });
    const before = (await vault.auditLog()).length;
    const locked = await openRoot({ directory: root.directory });
    expect((await ensurePki({ client, root: locked, roles })).changed).toEqual([]);
    const operations = (await vault.auditLog()).slice(before).map(({ request }) => request.operation);
    expect(new Set(operations)).toEqual(new Set(['read', 'list']));
  });

  it('mends what was changed behind its back, and nothing else', async () => {
    await ensurePki({ client, root, roles });
    await client.writePkiRole('postgres', { allowAnyName: true, allowSubdomains: true });
    await client.tuneMount({ path: 'pki', maxLeaseTtlS: 60 });
    await client.writePkiAutoTidy({ ...(await client.readPkiAutoTidy()), enabled: false });
    await client.setPkiDefaultIssuer(`root-${root.id}`);
    expect((await ensurePki({ client, root, roles })).changed).toEqual([
      'tune pki',
      'tidying',
      'default',
      'role postgres',
    ]);
    expect(await client.readPkiRole('postgres')).toMatchObject({ allowAnyName: false, allowSubdomains: false });
  });

  it('renews the intermediate with a third left, keeps the old one until its end, and then removes it with its key', async () => {
    const first = await ensurePki({ client, root, roles, intermediateTtlS: 300 * 86_400 });
    const after = (days: number) => (): Date => new Date(Date.now() + days * day);
    const options = { client, root, roles, intermediateTtlS: 300 * 86_400 };
    expect((await ensurePki({ ...options, now: after(199) })).changed).toEqual([]);
    const second = await ensurePki({ ...options, now: after(201) });
    expect(second.changed).toEqual(['intermediate', 'issuer', 'default']);
    expect(second.intermediate.serial).not.toBe(first.intermediate.serial);
    expect((await client.listPkiIssuers()).length).toBe(3);
    expect((await client.listPkiKeys()).length).toBe(2);
    const third = await ensurePki({ ...options, now: after(301) });
    expect(third.changed).toEqual([
      expect.stringMatching(/^remove intermediate-/),
      expect.stringMatching(/^remove devstack-intermediate-/),
    ]);
    expect((await client.listPkiKeys()).length).toBe(1);
  });

  it('needs the passphrase only to sign, and leaves no key behind when it is wrong', async () => {
    const directory = root.directory;
    await expect(ensurePki({ client, root: await openRoot({ directory }), roles })).rejects.toMatchObject({
      code: 'ROOT_LOCKED',
    });
    const wrong = await openRoot({ directory, passphrase: new Secret('wrong') });
    await expect(ensurePki({ client, root: wrong, roles })).rejects.toMatchObject({ code: 'ROOT_PASSPHRASE_WRONG' });
    expect(await client.listPkiKeys()).toEqual([]);
  });

  it('refuses a mount of another type and roles that contradict', async () => {
    await client.enableMount({ path: 'other', type: 'kv' });
    await expect(ensurePki({ client, root, roles, mount: 'other' })).rejects.toMatchObject({ code: 'PKI_MOUNT_TAKEN' });
    await expect(
      ensurePki({
        client,
        root,
        roles: [
          { name: 'a b', dnsNames: [] },
          { name: 'x', dnsNames: ['*.x'], server: false },
        ],
      }),
    ).rejects.toMatchObject({
      code: 'CERTIFICATE_INPUT_INVALID',
      details: {
        problems: [
          '"a b" is no name of a role',
          'role "a b" has no names',
          'role "x" is neither for a server nor for a client',
        ],
      },
    });
    expect(await client.listMounts()).not.toHaveProperty('pki');
  });

  it('leaves keys and issuers of others in the same mount alone', async () => {
    await client.enableMount({ path: 'pki', type: 'pki' });
    await client.request('POST', 'pki/root/generate/internal', { common_name: 'somebody else', key_type: 'ec' });
    await client.request('POST', 'pki/keys/generate/internal', { key_type: 'ec', key_name: 'spare' });
    await ensurePki({ client, root, roles });
    expect((await ensurePki({ client, root, roles })).changed).toEqual([]);
    expect((await client.listPkiIssuers()).length).toBe(3);
    expect((await client.listPkiKeys()).map(({ name }) => name)).toContain('spare');
  });
});

const killPoints = [
  ...['mount pki', 'tidying', 'root'].flatMap((step) => [`step-started ${step}`, `step-done ${step}`]),
  'step-started intermediate',
  'key-made intermediate',
  'request-signed intermediate',
  'step-done intermediate',
  ...['issuer', 'role postgres', 'role reference-api'].flatMap((step) => [`step-started ${step}`, `step-done ${step}`]),
];
const renewalPoints = [...killPoints.slice(6, 12), 'step-started default', 'step-done default'];

describe('a set-up that is killed', () => {
  it.each(killPoints)('at "%s" ends, run again, as one that was not', async (killAt) => {
    await client.disableMount('pki');
    const input = { ...vault.clientOptions, token: vault.rootToken.reveal(), directory: root.directory, killAt, roles };
    expect(await runChild('pki-child.ts', { ...input, passphrase: passphrase.reveal() })).toEqual({
      signal: 'SIGKILL',
      said: `killed at ${killAt}`,
    });
    await ensurePki({ client, root, roles });
    expect((await ensurePki({ client, root, roles })).changed).toEqual([]);
    expect((await client.listPkiKeys()).length, 'no key is left over').toBe(1);
    expect((await client.listPkiIssuers()).length, 'one intermediate and one root').toBe(2);
    const leaf = await issueLeaf({ client, role: 'postgres', commonName: 'postgres' });
    expect(new X509Certificate(leaf.certificatePem).checkHost('postgres')).toBe('postgres');
  });

  it.each(renewalPoints)(
    'at "%s" of a renewal of the intermediate still signs, and ends as one that was not',
    async (killAt) => {
      const now = (): Date => new Date(Date.now() + 2.5 * 365 * day);
      await client.disableMount('pki');
      await ensurePki({ client, root, roles });
      const input = {
        ...vault.clientOptions,
        token: vault.rootToken.reveal(),
        directory: root.directory,
        killAt,
        roles,
      };
      expect(
        await runChild('pki-child.ts', { ...input, passphrase: passphrase.reveal(), now: now().toISOString() }),
      ).toEqual({ signal: 'SIGKILL', said: `killed at ${killAt}` });
      // The new intermediate is of the pretended future: Vault signs with it only then.
      if (killAt !== 'step-done default') await issueLeaf({ client, role: 'postgres', commonName: 'postgres' });
      await ensurePki({ client, root, roles, now });
      expect((await ensurePki({ client, root, roles, now })).changed).toEqual([]);
      expect((await client.listPkiKeys()).length, 'the old and the new').toBe(2);
      expect((await client.listPkiIssuers()).length, 'both and the root').toBe(3);
    },
  );

  it('the control: every event of a whole run is one of the points above', async () => {
    await client.disableMount('pki');
    const seen: string[] = [];
    await ensurePki({ client, root, roles, onEvent: (event) => seen.push(nameOf(event)) });
    expect(seen).toEqual(killPoints);
    seen.length = 0;
    const now = (): Date => new Date(Date.now() + 2.5 * 365 * day);
    await ensurePki({ client, root, roles, now, onEvent: (event) => seen.push(nameOf(event)) });
    expect(seen).toEqual(renewalPoints);
  });
});

function nameOf({ type, step }: PkiEvent): string {
  return `${type} ${step.replace(/^root-.*/, 'root')}`;
}

function basicConstraints(pem: string): { ca: boolean; pathLength: number | undefined; critical: boolean } | undefined {
  const found = new x509.X509Certificate(pem).getExtension(x509.BasicConstraintsExtension);
  return found === null ? undefined : { ca: found.ca, pathLength: found.pathLength, critical: found.critical };
}
