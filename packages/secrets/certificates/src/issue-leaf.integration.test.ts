import { createPrivateKey, X509Certificate } from 'node:crypto';
import type { Secret } from '@devstack-core/redaction';
import { createVaultClient, type VaultClient } from '@devstack-core/vault-client';
import { startVault, type VaultContainer } from '@devstack-core/vault-testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { passphrase, rootFolder, serve, type RootFolder } from '../test/served.ts';
import { createRoot, ensurePki, issueLeaf, probeTls, readLeaf, renew, type PkiRole } from './index.ts';

const roles: readonly PkiRole[] = [
  { name: 'postgres', dnsNames: ['postgres'], ipAddresses: true },
  { name: 'redis', dnsNames: ['redis-1', 'redis-2'] },
  { name: 'api', dnsNames: ['api'], server: false, client: true, ttlS: 3600 },
];
const day = 86_400_000;
let vault: VaultContainer;
let root: VaultClient;
let folder: RootFolder;
/** A service: its token may sign under its own role and nothing else. */
let client: VaultClient;

beforeAll(async () => {
  vault = await startVault();
  root = createVaultClient(vault.clientOptions);
  folder = await rootFolder();
  await ensurePki({ client: root, root: folder.root, roles });
  for (const { name } of roles) await root.writePolicy(name, `path "pki/sign/${name}" { capabilities = ["update"] }`);
  const token = async (...policies: string[]): Promise<Secret> =>
    (await root.createToken({ policies, noDefaultPolicy: true })).token;
  client = root.withToken(await token('postgres', 'redis', 'api'));
});
afterAll(async () => {
  await vault.remove();
  await folder[Symbol.asyncDispose]();
});

describe('issueLeaf', () => {
  it('gives a certificate for 90 days with names and addresses, its chain, and every root to trust', async () => {
    const leaf = await issueLeaf({
      client,
      role: 'postgres',
      commonName: 'postgres',
      dnsNames: ['localhost'],
      ipAddresses: ['127.0.0.1', '::1'],
    });
    const certificate = new X509Certificate(leaf.certificatePem);
    expect((leaf.notAfter.getTime() - Date.now()) / day).toBeCloseTo(90, 1);
    const backdatedMs = Date.now() - leaf.notBefore.getTime();
    expect(backdatedMs).toBeGreaterThan(30_000);
    expect(backdatedMs).toBeLessThan(330_000);
    expect(certificate.subjectAltName).toBe(
      'DNS:localhost, DNS:postgres, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1',
    );
    expect(certificate.ca).toBe(false);
    expect(certificate.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1']);
    expect(certificate.publicKey.asymmetricKeyDetails).toMatchObject({ namedCurve: 'prime256v1' });
    expect(certificate.checkPrivateKey(createPrivateKey(leaf.privateKey.reveal()))).toBe(true);
    expect(leaf.chainPem.match(/BEGIN CERTIFICATE/g)).toHaveLength(1);
    expect(leaf.caBundlePem).toBe(folder.root.bundlePem);
    expect(leaf.serial).toBe(certificate.serialNumber);
  });

  it('no private key crosses the wire or stands in the audit log', async () => {
    const before = (await vault.auditLog()).length;
    await issueLeaf({ client, role: 'redis', commonName: 'redis-1' });
    const lines = (await vault.auditText()).split('\n').slice(before).join('\n');
    expect(lines).toContain('pki/sign/redis');
    expect(lines).not.toMatch(/private_key|PRIVATE KEY/);
    // The control: the call in which Vault makes the key has it in its answer, if only as a hash.
    await root.issuePkiCertificate({ role: 'redis', commonName: 'redis-1' });
    expect(await vault.auditText()).toContain('private_key');
  });

  it('a client’s certificate is for clients alone', async () => {
    const leaf = await issueLeaf({ client, role: 'api', commonName: 'api' });
    expect(new X509Certificate(leaf.certificatePem).keyUsage).toEqual(['1.3.6.1.5.5.7.3.2']);
    expect((leaf.notAfter.getTime() - Date.now()) / 1000).toBeCloseTo(3600, -2);
  });

  it.each([
    ['another service’s name', { role: 'postgres', commonName: 'redis-1' }],
    ['another name beside its own', { role: 'postgres', commonName: 'postgres', dnsNames: ['redis-1'] }],
    ['a name below its own', { role: 'postgres', commonName: 'evil.postgres' }],
    ['an address where none may stand', { role: 'redis', commonName: 'redis-1', ipAddresses: ['127.0.0.1'] }],
  ])('Vault refuses %s', async (_name, options) => {
    await expect(issueLeaf({ client, ...options })).rejects.toMatchObject({
      code: 'VAULT_REQUEST_FAILED',
      details: { status: 400 },
    });
  });

  it('a token without the role’s policy is refused, and one for longer than allowed is cut', async () => {
    const other = root.withToken((await root.createToken({ policies: ['redis'], noDefaultPolicy: true })).token);
    await expect(issueLeaf({ client: other, role: 'postgres', commonName: 'postgres' })).rejects.toMatchObject({
      code: 'VAULT_PERMISSION_DENIED',
    });
    const leaf = await issueLeaf({ client, role: 'api', commonName: 'api', ttlS: 30 * 86_400 });
    expect((leaf.notAfter.getTime() - Date.now()) / 1000).toBeLessThanOrEqual(3600);
  });

  it('refuses names that no certificate can have before it asks', async () => {
    await expect(
      issueLeaf({ client, role: 'postgres', commonName: '*.x', dnsNames: ['a:1'], ipAddresses: ['300.1.1.1'] }),
    ).rejects.toMatchObject({
      code: 'CERTIFICATE_INPUT_INVALID',
      details: {
        problems: [
          'commonName "*.x" is not a host name',
          'dnsNames: "a:1" is not a host name',
          'ipAddresses: "300.1.1.1" is not an IP address',
        ],
      },
    });
  });

  it('refuses a chain that ends in another root than the one to trust', async () => {
    await using other = await rootFolder();
    const caBundlePem = other.root.bundlePem;
    await expect(issueLeaf({ client, role: 'postgres', commonName: 'postgres', caBundlePem })).rejects.toMatchObject({
      code: 'CERTIFICATE_UNEXPECTED',
    });
  });

  it.each([
    ['behind', -day],
    ['ahead by more than its lifetime', 91 * day],
  ])('names this machine’s clock when it is a day %s', async (_name, skewMs) => {
    const now = () => new Date(Date.now() + skewMs);
    await expect(issueLeaf({ client, role: 'postgres', commonName: 'postgres', now })).rejects.toMatchObject({
      code: 'CERTIFICATE_CLOCK',
    });
  });

  it('an authority that was signed by a clock a day ahead still signs; one by a clock of two days is named', async () => {
    for (const [mount, days] of [
      ['pki-one', 1],
      ['pki-two', 2],
    ] as const) {
      const now = () => new Date(Date.now() + days * day);
      const ahead = await createRoot({ directory: `${folder.path}/${mount}`, passphrase, curve: 'P-256', now: now() });
      await ensurePki({ client: root, root: ahead, roles, mount, now });
      const work = issueLeaf({ client: root, mount, role: 'redis', commonName: 'redis-1' });
      if (days === 1) expect((await work).certificatePem).toContain('BEGIN');
      else await expect(work).rejects.toMatchObject({ code: 'CERTIFICATE_CLOCK' });
    }
  });
});

describe('a renewal by Vault', () => {
  it('while Vault is down leaves the old certificate, and says what to do; then it goes on', async () => {
    await using server = await serve(folder, 'down');
    const impatient = client.with({ retry: { deadlineMs: 200 }, timeoutMs: 500 });
    const issue = () => issueLeaf({ client: impatient, role: 'redis', commonName: 'redis-1', dnsNames: ['redis-2'] });
    const options = {
      ...server.options,
      issue,
      verify: async () => {
        const { serial, caBundlePem: ca } = await readLeaf(server.directory);
        const { certificate, verdict } = await probeTls({
          host: '127.0.0.1',
          port: server.port,
          servername: 'redis-2',
          ca,
        });
        if (verdict !== 'ok' || certificate?.serial !== serial) throw new Error(verdict);
      },
    };
    const old = await readLeaf(server.directory);
    await vault.pause();
    try {
      await expect(renew({ ...options, force: true })).rejects.toMatchObject({
        code: 'CERTIFICATE_RENEWAL_FAILED',
        message: expect.stringContaining('The old one stays') as string,
        hint: expect.stringContaining('Check that it is started') as string,
        details: { causeCode: 'VAULT_UNREACHABLE' },
      });
    } finally {
      await vault.unpause();
    }
    expect((await readLeaf(server.directory)).serial).toBe(old.serial);
    expect((await renew({ ...options, force: true })).outcome).toBe('renewed');
  });
});
