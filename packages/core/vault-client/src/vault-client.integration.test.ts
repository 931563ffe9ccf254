import { inspect } from 'node:util';
import { Secret } from '@devstack-core/redaction';
import { startVault, type VaultContainer } from '@devstack-core/vault-testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createVaultClient, type VaultClient } from './index.ts';

describe('against a real Vault', () => {
  let vault: VaultContainer;
  let client: VaultClient;

  beforeAll(async () => {
    vault = await startVault({ network: true });
    client = createVaultClient(vault.clientOptions);
    await client.enableMount({ path: 'secret', type: 'kv', options: { version: '2' }, description: 'credentials' });
    await client.enableAuth({ path: 'approle', type: 'approle' });
  });
  afterAll(async () => {
    client.close();
    await vault.remove();
  });

  it('knows its state', async () => {
    expect(await client.health()).toMatchObject({
      initialized: true,
      sealed: false,
      standby: false,
      version: expect.stringMatching(/^\d+\.\d+/) as string,
    });
    expect(await client.sealStatus()).toMatchObject({
      initialized: true,
      sealed: false,
      shares: 1,
      threshold: 1,
      storageType: 'inmem',
    });
    await expect(client.init({ shares: 1, threshold: 1 })).rejects.toMatchObject({ code: 'VAULT_ALREADY_INITIALIZED' });
  });

  it('makes authorities, roles and certificates, and shows no private key', async () => {
    const mount = { mount: 'authority' };
    await client.enableMount({ path: 'authority', type: 'pki' });
    await client.tuneMount({ path: 'authority', maxLeaseTtlS: 86_400 });
    expect((await client.listMounts())['authority']).toMatchObject({ type: 'pki', maxLeaseTtlS: 86_400 });
    expect([await client.listPkiIssuers(mount), await client.listPkiKeys(mount)]).toEqual([[], []]);
    expect(await client.readPkiIssuer('default', mount)).toBeUndefined();
    expect(await client.readPkiCertificate('nobody', mount)).toBeUndefined();
    await client.deletePkiIssuer('nobody', mount);
    await client.deletePkiKey('nobody', mount);
    const asked = { ...mount, commonName: 'asked', keyName: 'ours', keyType: 'ec', keyBits: 256 };
    const { csrPem, keyId } = await client.generatePkiIntermediate(asked);
    expect(csrPem).toContain('BEGIN CERTIFICATE REQUEST');
    expect(await client.listPkiKeys(mount)).toEqual([{ keyId, name: 'ours' }]);
    expect(await client.generatePkiIntermediate({ ...mount, commonName: 'asked', keyId })).toMatchObject({ keyId });

    await client.request('POST', 'authority/root/generate/internal', { common_name: 'root', key_type: 'ec' });
    const [root] = await client.listPkiIssuers(mount);
    const issuerId = root?.issuerId ?? '';
    await client.writePkiIssuer(issuerId, { name: 'the-root', leafNotAfterBehavior: 'truncate' }, mount);
    await client.setPkiDefaultIssuer('the-root', mount);
    const issuer = await client.readPkiIssuer('the-root', mount);
    expect(issuer).toMatchObject({ issuerId, name: 'the-root', leafNotAfterBehavior: 'truncate' });
    const certificatePem = issuer?.certificatePem ?? '';
    expect(await client.withToken(undefined).readPkiCertificate('the-root', mount)).toBe(certificatePem);
    expect(await client.importPkiCertificates(certificatePem, mount)).toMatchObject({
      imported: [],
      existing: [issuerId],
      keyOfIssuer: { [issuerId]: root?.keyId },
    });

    const tidy = { enabled: true, intervalS: 7200, safetyBufferS: 60, tidyCertStore: true, tidyRevokedCerts: false };
    await client.writePkiAutoTidy(tidy, mount);
    expect(await client.readPkiAutoTidy(mount)).toEqual(tidy);
    const settings = {
      allowedDomains: ['db'],
      allowBareDomains: true,
      keyType: 'ec',
      ttlS: 3600,
      useCsrCommonName: false,
      useCsrSans: false,
    };
    await client.writePkiRole('db', settings, mount);
    expect(await client.listPkiRoles(mount)).toEqual(['db']);
    expect(await client.readPkiRole('db', mount)).toMatchObject(settings);
    const request = { ...mount, role: 'db', commonName: 'db', dnsNames: ['localhost'], ipAddresses: ['127.0.0.1'] };
    const issued = await client.issuePkiCertificate({ ...request, ttlS: 60 });
    expect(issued.privateKey.reveal()).toContain('BEGIN PRIVATE KEY');
    expect(inspect(issued)).not.toContain('BEGIN PRIVATE KEY');
    const signed = await client.signPkiCertificate({ ...request, csrPem });
    expect(signed.serial).toMatch(/^([0-9a-f]{2}:)+[0-9a-f]{2}$/);
    expect([signed.issuingCaPem, ...signed.chainPem]).toEqual([certificatePem.trim(), certificatePem.trim()]);
    await client.revokePkiCertificate(signed.serial, mount);
    await expect(client.signPkiCertificate({ ...request, commonName: 'other', csrPem })).rejects.toMatchObject({
      code: 'VAULT_REQUEST_FAILED',
      message: expect.stringContaining('other') as string,
    });
    await client.deletePkiRole('db', mount);
    expect(await client.readPkiRole('db', mount)).toBeUndefined();
    await client.disableMount('authority');
  });

  it('keeps mounts, auth methods and audit devices, and says whether they are new', async () => {
    expect(await client.enableMount({ path: 'secret', type: 'kv' })).toBe(false);
    expect(await client.enableAuth({ path: 'approle', type: 'approle' })).toBe(false);
    expect((await client.listMounts())['secret']).toMatchObject({
      type: 'kv',
      description: 'credentials',
      options: { version: '2' },
    });
    await client.tuneAuth({ path: 'approle', maxLeaseTtlS: 7_776_000 });
    expect((await client.listAuth())['approle']).toMatchObject({ type: 'approle', maxLeaseTtlS: 7_776_000 });
    expect((await client.listAudit())['file']).toMatchObject({
      type: 'file',
      options: { file_path: '/vault/audit/audit.log' },
    });
    expect(await client.enableMount({ path: 'other/kv', type: 'kv', maxLeaseTtlS: 60 })).toBe(true);
    await client.disableMount('other/kv');
    expect(await client.enableAuth({ path: 'second', type: 'approle' })).toBe(true);
    await client.disableAuth('second');
    expect(
      await client.enableAudit({ path: 'second', type: 'file', options: { file_path: '/vault/audit/second.log' } }),
    ).toBe(true);
    expect(
      await client.enableAudit({ path: 'second', type: 'file', options: { file_path: '/vault/audit/second.log' } }),
    ).toBe(false);
    await client.disableAudit('second');
    expect(Object.keys(await client.listAudit())).toEqual(['file']);
  });

  it('keeps any text in a secret, and versions', async () => {
    const password = `q"u'o\\te $%#:& ${'é'.repeat(3)}\u0000\u001f\n𝄞`;
    expect(await client.kvWrite('kv/a', { password: new Secret(password), plain: '' }, { cas: 0 })).toBe(1);
    await expect(client.kvWrite('kv/a', { password: 'p' }, { cas: 0 })).rejects.toMatchObject({
      code: 'VAULT_CAS_MISMATCH',
    });
    expect(await client.kvWrite('kv/a', { password: 'second' }, { cas: 1 })).toBe(2);
    const first = await client.kvRead('kv/a', { version: 1 });
    expect(first?.data['password']?.reveal()).toBe(password);
    expect(first).toMatchObject({ version: 1, createdTime: expect.stringMatching(/^20/) as string });
    expect((await client.kvRead('kv/a'))?.data['password']?.reveal()).toBe('second');
    expect(await client.kvMetadata('kv/a')).toMatchObject({
      currentVersion: 2,
      versions: [{ version: 1, destroyed: false }, { version: 2 }],
    });
    await client.kvWrite('kv/folder/b', { x: 'y' });
    expect(await client.kvList('kv')).toEqual(['a', 'folder/']);
    expect(await client.kvList('')).toContain('kv/');
    await client.request('DELETE', 'secret/data/kv/a');
    expect(await client.kvRead('kv/a')).toBeUndefined();
    expect((await client.kvMetadata('kv/a'))?.versions[1]?.deletedTime).toMatch(/^20/);
    await client.kvDelete('kv/a');
    await client.kvDelete('kv/a');
    expect(await client.kvMetadata('kv/a')).toBeUndefined();
    expect(await client.kvList('nothing/there')).toEqual([]);
  });

  it('keeps policies', async () => {
    await client.writePolicy('one', 'path "secret/data/kv/a" { capabilities = ["read"] }');
    expect(await client.readPolicy('one')).toContain('secret/data/kv/a');
    expect(await client.listPolicies()).toEqual(expect.arrayContaining(['default', 'one', 'root']));
    await client.deletePolicy('one');
    expect(await client.readPolicy('one')).toBeUndefined();
    await expect(client.writePolicy('broken', 'path "x" {')).rejects.toMatchObject({
      code: 'VAULT_REQUEST_FAILED',
      details: { status: 400 },
    });
  });

  it('issues, narrows, uses and revokes tokens', async () => {
    await client.writePolicy('reader', ['path "secret/data/kv/b" { capabilities = ["read"] }', ...['lookup-self", "read', 'renew-self", "update', 'revoke-self", "update'].map((rule) => {
      const [path, capability] = rule.split('", "');
      return `path "auth/token/${String(path)}" { capabilities = ["${String(capability)}"] }`;
    }), 'path "sys/capabilities-self" { capabilities = ["update"] }'].join('\n')); // prettier-ignore
    const issued = await client.createToken({
      policies: ['reader'],
      ttlS: 60,
      explicitMaxTtlS: 120,
      noDefaultPolicy: true,
      noParent: true,
      renewable: true,
      displayName: 'test',
      metadata: { for: 'test' },
    });
    expect(issued).toMatchObject({ policies: ['reader'], leaseDurationS: 60, renewable: true });
    const own = client.withToken(issued.token);
    expect(await own.lookupSelf()).toMatchObject({
      policies: ['reader'],
      displayName: 'token-test',
      accessor: issued.accessor,
      metadata: { for: 'test' },
      renewable: true,
    });
    expect((await own.renewSelf({ incrementS: 90 })).leaseDurationS).toBe(90);
    expect(await own.capabilitiesSelf(['secret/data/kv/b', 'sys/mounts'])).toEqual({
      'secret/data/kv/b': ['read'],
      'sys/mounts': ['deny'],
    });
    expect(await own.kvRead('kv/b')).toBeUndefined();
    await expect(own.kvRead('kv/c')).rejects.toMatchObject({
      code: 'VAULT_PERMISSION_DENIED',
      details: { path: 'secret/data/kv/c' },
    });
    await expect(own.enableAuth({ path: 'x', type: 'approle' })).rejects.toMatchObject({
      code: 'VAULT_PERMISSION_DENIED',
    });
    await own.revokeSelf();
    await expect(own.kvRead('kv/b')).rejects.toMatchObject({ code: 'VAULT_PERMISSION_DENIED' });
    const second = await client.createToken({ policies: ['reader'], ttlS: 60 });
    await client.revokeAccessor(second.accessor);
    await client.revokeAccessor(second.accessor);
    await expect(client.withToken(second.token).lookupSelf()).rejects.toMatchObject({
      code: 'VAULT_PERMISSION_DENIED',
    });
  });

  describe('AppRole', () => {
    const role = 'service';

    it('keeps a role and its role_id', async () => {
      const { subnet = '' } = vault.network ?? {};
      const settings = {
        tokenPolicies: ['reader'],
        tokenNoDefaultPolicy: true,
        tokenTtlS: 300,
        tokenMaxTtlS: 300,
        secretIdTtlS: 2_592_000,
        secretIdBoundCidrs: [subnet],
        tokenBoundCidrs: [subnet],
      };
      await client.writeRole(role, settings);
      expect(await client.readRole(role)).toMatchObject({
        ...settings,
        bindSecretId: true,
        secretIdNumUses: 0,
        tokenNumUses: 0,
        tokenPeriodS: 0,
        tokenType: 'default',
      });
      await client.writeRole(role, { tokenTtlS: 200 });
      expect(await client.readRole(role)).toMatchObject({ ...settings, tokenTtlS: 200 });
      await client.writeRoleId(role, 'a-stable-role-id');
      expect(await client.readRoleId(role)).toBe('a-stable-role-id');
      expect(await client.listRoles()).toEqual([role]);
      expect(await client.readRole('none')).toBeUndefined();
      expect(await client.readRoleId('none')).toBeUndefined();
      expect(await client.listSecretIdAccessors('none')).toEqual([]);
    });

    it('logs in from the right address only', async () => {
      const { gateway = '', subnet = '' } = vault.network ?? {};
      const fromHere = await client.createSecretId({
        role,
        cidrs: [`${gateway}/32`],
        ttlS: 3600,
        numUses: 0,
        metadata: { service: 'x' },
      });
      expect(fromHere.ttlS).toBe(3600);
      const login = await client
        .withToken(undefined)
        .loginAppRole({ roleId: 'a-stable-role-id', secretId: fromHere.secretId });
      expect(login).toMatchObject({ policies: ['reader'], leaseDurationS: 200, renewable: true });
      await client.withToken(login.token).revokeSelf();

      const elsewhere = subnet.replace('.0/24', '.77');
      const fromThere = await client.createSecretId({ role, cidrs: [`${elsewhere}/32`] });
      await expect(
        client.loginAppRole({ roleId: 'a-stable-role-id', secretId: fromThere.secretId }),
      ).rejects.toMatchObject({
        code: 'VAULT_BAD_CREDENTIALS',
        details: { status: 400, reason: 'wrong-address' },
      });
      const body = { role_id: 'a-stable-role-id', secret_id: fromThere.secretId.reveal() };
      expect(await vault.requestFrom(elsewhere, { method: 'POST', path: 'auth/approle/login', body })).toMatchObject({
        status: 200,
      });
      await expect(client.createSecretId({ role, cidrs: ['10.0.0.0/8'] })).rejects.toMatchObject({
        details: { status: 500 },
      });
    });

    it('knows its secret_ids', async () => {
      const { secretId, accessor } = await client.createSecretId({ role, metadata: { service: 'x' } });
      const known = {
        accessor,
        metadata: { service: 'x' },
        expirationTime: expect.stringMatching(/^20/) as string,
        numUses: 0,
        ttlS: 2_592_000,
      };
      expect(await client.lookupSecretIdAccessor({ role, accessor })).toMatchObject(known);
      expect(await client.lookupSecretId({ role, secretId })).toMatchObject(known);
      expect(await client.listSecretIdAccessors(role)).toContain(accessor);
      await client.destroySecretIdAccessor({ role, accessor });
      await client.destroySecretIdAccessor({ role, accessor });
      await client.destroySecretIdAccessor({ role: 'none', accessor });
      expect(await client.lookupSecretIdAccessor({ role, accessor })).toBeUndefined();
      expect(await client.lookupSecretId({ role, secretId })).toBeUndefined();
      expect(await client.lookupSecretId({ role: 'none', secretId })).toBeUndefined();
      await expect(client.loginAppRole({ roleId: new Secret('a-stable-role-id'), secretId })).rejects.toMatchObject({
        code: 'VAULT_BAD_CREDENTIALS',
      });
      await client.deleteRole(role);
      expect(await client.listRoles()).toEqual([]);
    });
  });

  it('leaves no secret of the above in the audit log', async () => {
    expect(await vault.auditText()).not.toContain(vault.rootToken.reveal());
    expect((await vault.auditLog()).map(({ request }) => request.path)).toContain('auth/approle/login');
  });
});

describe('a Vault that comes and goes', () => {
  it('is waited for while it is sealed, stopped, restarting and paused', async () => {
    await using vault = await startVault({ storage: 'raft', shares: 3, threshold: 2 });
    using client = createVaultClient({ ...vault.clientOptions, timeoutMs: 500 });
    await client.enableMount({ path: 'secret', type: 'kv', options: { version: '2' } });
    await client.kvWrite('a', { x: 'y' });

    await client.seal();
    expect(await client.health()).toMatchObject({ sealed: true });
    await expect(client.with({ retry: { deadlineMs: 100 } }).kvRead('a')).rejects.toMatchObject({
      code: 'VAULT_SEALED',
    });
    const [first, second] = vault.unsealKeys;
    const wrong = createVaultClient({ address: vault.address });
    await expect(wrong.unseal(new Secret('not a key'))).rejects.toMatchObject({ code: 'VAULT_BAD_CREDENTIALS' });
    expect(await client.unseal(first ?? new Secret(''), { reset: true })).toMatchObject({ sealed: true, progress: 1 });
    const reading = client.kvRead('a');
    expect(await client.unseal(second ?? new Secret(''))).toMatchObject({ sealed: false });
    expect((await reading)?.data['x']?.reveal()).toBe('y');

    const reasons = new Set<string>();
    const patient = client.with({ onRetry: ({ reason }) => reasons.add(reason) });
    await vault.stop();
    const afterRestart = patient.kvRead('a');
    await vault.start();
    await vault.unseal();
    expect((await afterRestart)?.version).toBe(1);
    expect(reasons).toContain('unreachable');

    await vault.pause();
    const whilePaused = client.kvRead('a');
    setTimeout(() => void vault.unpause(), 700);
    expect((await whilePaused)?.version).toBe(1);
  });

  it('is told from one that is new', async () => {
    await using vault = await startVault({ state: 'new' });
    using client = createVaultClient({ ...vault.clientOptions, token: new Secret('none') });
    expect(await client.health()).toMatchObject({ initialized: false, sealed: true });
    await expect(client.kvRead('a')).rejects.toMatchObject({ code: 'VAULT_UNINITIALIZED' });
    const { keys, keysBase64, rootToken } = await client.init({ shares: 3, threshold: 2 });
    expect([keys.length, keysBase64.length]).toEqual([3, 3]);
    for (const key of [keys[0], keysBase64[2]]) await client.unseal(key ?? new Secret(''));
    expect(await client.withToken(rootToken).lookupSelf()).toMatchObject({ policies: ['root'] });
  });
});

describe('TLS', () => {
  it('trusts the given authority and no other', async () => {
    await using vault = await startVault({ tls: true });
    using client = createVaultClient(vault.clientOptions);
    expect(await client.lookupSelf()).toMatchObject({ policies: ['root'] });
    using stranger = createVaultClient({ address: vault.address, retry: { deadlineMs: 20_000 } });
    const started = performance.now();
    // At once: a certificate does not become trusted by waiting.
    await expect(stranger.health()).rejects.toMatchObject({
      code: 'VAULT_UNREACHABLE',
      hint: expect.stringContaining('`ca`') as string,
    });
    expect(performance.now() - started).toBeLessThan(5000);
    await expect(
      createVaultClient({ address: vault.address.replace('https', 'http'), retry: { deadlineMs: 0 } }).kvRead('a'),
    ).rejects.toMatchObject({
      details: { status: 400 },
    });
    // Roots that are exchanged under a running process: none of its connections outlives them.
    let trusted = 'not a root';
    using lasting = createVaultClient({ ...vault.clientOptions, ca: () => trusted, retry: { deadlineMs: 0 } });
    for (const roots of ['not a root', vault.ca ?? '', 'not a root']) {
      trusted = roots;
      const answer = lasting.lookupSelf().then(
        () => 'answered',
        () => 'refused',
      );
      expect(await answer).toBe(roots === vault.ca ? 'answered' : 'refused');
    }
  });
});
