import { randomBytes } from 'node:crypto';
import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openBackupStore, type BackupStore } from '@devstack-core/backup-store';
import { verifySet, type VerificationReport } from '@devstack-core/backup-verification';
import { createRoot, issueFromRoot } from '@devstack-core/certificates';
import {
  filesSource,
  serializeFingerprint,
  type BackupPart,
  type EngineIdentity,
} from '@devstack-core/database-backup';
import { connectDocker, type DockerEngine } from '@devstack-core/docker-engine';
import { Secret } from '@devstack-core/redaction';
import { createVaultClient, type VaultClient } from '@devstack-core/vault-client';
import { initializeVault, readKeys, readRootToken, snapshotVault, unsealVault } from '@devstack-core/vault-lifecycle';
import { startVault, type VaultContainer } from '@devstack-core/vault-testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { temporaryFolder } from '../../test/folder.ts';
import { fingerprintVault, storeSource, vaultFingerprintKey, vaultParsers, vaultRehearser } from '../index.ts';

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let vault: VaultContainer;
let root: VaultClient;
let docker: DockerEngine;
let image: EngineIdentity['image'];
const labels = { 'io.devstack.test': `recovery-${randomBytes(4).toString('hex')}` };
const tool = { name: 'test', version: '1' };

beforeAll(async () => {
  folder = await temporaryFolder();
  docker = await connectDocker({ env: process.env });
  const found = await docker.inspectImage('devstack/vault:local');
  image = { name: 'devstack/vault:local', id: found?.id ?? '' };
  vault = await startVault({ storage: 'raft', state: 'new', audit: false });
  const client = createVaultClient(vault.clientOptions);
  const directory = join(folder.path, 'config', 'vault');
  await mkdir(join(folder.path, 'config'), { mode: 0o700 });
  await initializeVault({ client, directory, shares: 5, threshold: 3 });
  await unsealVault({ client, directory });
  root = client.withToken(await readRootToken({ directory }));
  await fill(root);
  const certificates = join(folder.path, 'config', 'certificates');
  const authority = await createRoot({
    directory: certificates,
    passphrase: new Secret('correct horse battery staple'),
  });
  const leaf = await issueFromRoot({ root: authority, commonName: 'vault', dnsNames: ['localhost'] });
  await writeFile(
    join(certificates, 'vault-server.pem'),
    `${leaf.privateKey.reveal()}${leaf.certificatePem}${leaf.chainPem}`,
    { mode: 0o600 },
  );
}, 180_000);

afterAll(async () => {
  await vault.remove();
  await folder[Symbol.asyncDispose]();
  const left = await docker.listContainers({ all: true, labels });
  docker.close();
  expect(left).toEqual([]);
});

async function fill(client: VaultClient): Promise<void> {
  await client.enableMount({ path: 'secret', type: 'kv', options: { version: '2' } });
  await client.kvWrite('services/postgres', { username: 'app', password: 'päss wörd' });
  await client.kvWrite('services/postgres', { username: 'app', password: 'second' });
  await client.kvWrite('deep/er/than/that', { value: '{"json": true}' });
  await client.writePolicy('reader', 'path "secret/data/*" { capabilities = ["read"] }');
  await client.enableAuth({ path: 'approle', type: 'approle' });
  await client.writeRole('postgres', { tokenPolicies: ['reader'], tokenTtlS: 3600 });
  await client.enableAudit({ path: 'file', type: 'file', options: { file_path: '/vault/audit/audit.log' } });
}

/** A set of Vault as it is now, its files taken from a folder. */
async function backUp(
  name: string,
  config: string,
  older?: Uint8Array,
): Promise<{ readonly store: BackupStore; readonly id: string }> {
  const store = openBackupStore({
    directory: join(folder.path, name),
    passphrase: new Secret('a long enough passphrase for a test of recovery'),
    tool,
  });
  await using draft = await store.create({ project: 'test', kind: 'full', encrypted: true });
  const engine = { name: 'vault', version: '1.21', image };
  const key = vaultFingerprintKey(await readRootToken({ directory: join(folder.path, 'config', 'vault') }));
  const parts: BackupPart[] = [];
  for await (const part of filesSource.open({ roots: [{ name: 'vault', path: config }] }))
    parts.push({ ...part, kind: 'vault-files', engine });
  const raft = older ?? (await snapshotVault({ client: root })).data;
  parts.push({
    name: 'raft',
    kind: 'vault-raft',
    extension: 'snap',
    engine,
    consistency: 'exact',
    snapshotAt: new Date().toISOString(),
    restoreHint: [],
    fingerprint: () => fingerprintVault({ client: root, key }),
    content: () => once(raft),
  });
  for (const part of parts) {
    const fingerprint = Buffer.from(serializeFingerprint(await part.fingerprint()));
    const about = { service: 'vault', part: part.name, engine };
    await draft.add({ ...about, kind: 'content', extension: part.extension, content: part.content() });
    await draft.add({ ...about, kind: 'fingerprint', extension: 'fingerprint.json', content: once(fingerprint) });
    const { fingerprint: _fingerprint, content: _content, ...description } = part;
    draft.part({ ...description, service: 'vault', fingerprintDigest: draft.digestOf(fingerprint) });
  }
  const { id } = await draft.finish();
  return { store, id };
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  await Promise.resolve();
  yield bytes;
}

function verify({ store, id }: { readonly store: BackupStore; readonly id: string }): Promise<VerificationReport> {
  return verifySet({ store, id, docker, rehearsers: [vaultRehearser], parsers: vaultParsers, labels });
}

const classesOf = ({ parts }: VerificationReport): unknown =>
  parts.map(({ part, verdict, findings }) => [part, verdict, ...findings.map((finding) => finding.class)]);

describe('the Vault of a backup', () => {
  it('comes back in a throwaway Vault, opened with its own keys, with every secret', async () => {
    const set = await backUp('whole', join(folder.path, 'config'));
    const report = await verify(set);
    expect(classesOf(report)).toEqual([
      ['vault', 'valid'],
      ['raft', 'valid'],
    ]);
    expect(report).toMatchObject({
      verdict: 'valid',
      selfTest: 'passed',
      engines: [{ service: 'vault', engine: 'vault', image: { isSame: true } }],
    });
    expect(report.parts[1]?.comparedItems).toBeGreaterThan(8);
    expect(report.parts[1]?.parsed).toMatch(/^Vault raft snapshot at index \d+/);
    // The set is proven now, and a recovery would take it.
    const [candidate] = await storeSource({ store: set.store, verify: () => Promise.resolve(report) }).list();
    expect(candidate).toMatchObject({ id: set.id, encrypted: true, provenAt: expect.any(String) as string });
    expect(candidate?.snapshots).toHaveLength(2);
  }, 180_000);

  it('is found out where its data is not what it was said to be', async () => {
    const early = (await snapshotVault({ client: root })).data;
    await root.kvWrite('services/late', { password: 'written later' });
    const set = await backUp('late', join(folder.path, 'config'), early);
    const report = await verify(set);
    expect(classesOf(report)).toEqual([
      ['vault', 'valid'],
      ['raft', 'invalid', 'content-differs'],
    ]);
    expect(report.parts[1]?.differences).toMatchObject([{ name: 'secret/services/late', problem: 'missing' }]);
    expect(await textOf(set.store.open(set.id, 'vault/raft/fingerprint'))).not.toContain('written later');
    await root.kvDelete('services/late');
  }, 180_000);

  it('cannot be opened with the keys of another Vault, and the backup says so', async () => {
    const config = join(folder.path, 'other-keys');
    await cp(join(folder.path, 'config'), config, { recursive: true });
    const file = join(config, 'vault', 'keys.json');
    const keys = JSON.parse(await readFile(file, 'utf8')) as { keys: string[]; clusterId?: string };
    const wrong = { ...keys, keys: keys.keys.map((key) => key.replace(/^../, 'ff').replace(/..$/, '01')) };
    await writeFile(file, JSON.stringify(wrong), { mode: 0o600 });
    expect(await readKeys({ directory: join(config, 'vault') })).toBeDefined();
    const report = await verify(await backUp('other', config));
    expect(classesOf(report)).toEqual([
      ['vault', 'valid'],
      ['raft', 'invalid', 'restore-failed'],
    ]);
  }, 180_000);

  it('is not restored without its keys', async () => {
    const config = join(folder.path, 'no-keys');
    await cp(join(folder.path, 'config'), config, { recursive: true });
    await rm(join(config, 'vault', 'keys.json'));
    expect(classesOf(await verify(await backUp('keyless', config)))).toEqual([
      ['vault', 'invalid', 'restore-failed'],
      ['raft', 'inconclusive', 'not-reached'],
    ]);
  }, 180_000);

  it('is found out where a certificate does not belong to what is beside it', async () => {
    const config = join(folder.path, 'mixed');
    await cp(join(folder.path, 'config'), config, { recursive: true });
    const other = join(folder.path, 'other-root');
    const authority = await createRoot({ directory: other, passphrase: new Secret('correct horse battery staple') });
    const leaf = await issueFromRoot({ root: authority, commonName: 'vault', dnsNames: ['localhost'] });
    const file = join(config, 'certificates', 'vault-server.pem');
    const [key = ''] =
      /-----BEGIN PRIVATE KEY-----[\s\S]+?-----END PRIVATE KEY-----\n?/.exec(await readFile(file, 'utf8')) ?? [];
    expect(key).not.toBe('');
    await writeFile(file, `${key}${leaf.certificatePem}`, { mode: 0o600 });
    const report = await verify(await backUp('mixed-set', config));
    expect(classesOf(report)).toEqual([
      ['vault', 'invalid', 'integrity'],
      ['raft', 'valid'],
    ]);
    expect(report.parts[0]?.integrity).toEqual([
      expect.stringMatching(/^The certificate CN=vault in certificates\/vault-server\.pem was signed by no authority/),
      'The key in certificates/vault-server.pem has no certificate beside it.',
    ]);
  }, 180_000);
});

async function textOf(stream: AsyncIterable<Uint8Array>): Promise<string> {
  const pieces: Uint8Array[] = [];
  for await (const piece of stream) pieces.push(piece);
  return Buffer.concat(pieces).toString('utf8');
}
