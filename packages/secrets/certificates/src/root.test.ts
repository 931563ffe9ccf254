import 'reflect-metadata';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { chmod, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { Secret } from '@devstack-core/redaction';
import * as x509 from '@peculiar/x509';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runChild } from '../test/children.ts';
import { passphrase, rootFolder, type RootFolder } from '../test/served.ts';
import { createRoot, issueFromRoot, openRoot, readBundle } from './index.ts';

const year = 365.25 * 86_400_000;
let folder: RootFolder;
let directory: string;
beforeEach(async () => {
  folder = await rootFolder();
  directory = folder.root.directory;
});
afterEach(async () => folder[Symbol.asyncDispose]());

const keyFile = async (): Promise<string> => {
  const name = (await readdir(directory)).find((file) => file.endsWith('.key'));
  return join(directory, name ?? '');
};

describe('createRoot', () => {
  it('makes an authority for ten years that signs intermediates and nothing deeper', async () => {
    const root = await createRoot({ directory: join(folder.path, 'second'), passphrase });
    const certificate = new X509Certificate(root.certificatePem);
    expect(certificate.ca).toBe(true);
    expect(certificate.verify(certificate.publicKey)).toBe(true);
    expect(certificate.publicKey.asymmetricKeyDetails).toMatchObject({ namedCurve: 'secp384r1' });
    expect((root.notAfter.getTime() - Date.now()) / year).toBeCloseTo(10, 2);
    expect(root.notBefore.getTime()).toBeLessThan(Date.now() - 86_400_000);
    const parsed = new x509.X509Certificate(root.certificatePem);
    expect(parsed.getExtension(x509.BasicConstraintsExtension)).toMatchObject({
      ca: true,
      pathLength: 1,
      critical: true,
    });
    expect(parsed.getExtension(x509.KeyUsagesExtension)).toMatchObject({
      usages: x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign,
      critical: true,
    });
    expect(BigInt(`0x${certificate.serialNumber}`)).toBeGreaterThan(1n << 120n);
    expect(root.bundlePem).toBe(root.certificatePem);
  });

  it('keeps the key in a private file that only the passphrase opens, also for other programs', async () => {
    const path = await keyFile();
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect((await stat(directory)).mode & 0o777).toBe(0o700);
    const pem = await readFile(path, 'utf8');
    expect(pem).toMatch(
      /^-----BEGIN ENCRYPTED PRIVATE KEY-----\n([A-Za-z0-9+/=]{1,64}\n)+-----END ENCRYPTED PRIVATE KEY-----\n$/,
    );
    const key = createPrivateKey({ key: pem, passphrase: passphrase.reveal() });
    expect(new X509Certificate(folder.root.certificatePem).checkPrivateKey(key)).toBe(true);
    // scrypt (1.3.6.1.4.1.11591.4.11) and AES-256-CBC (2.16.840.1.101.3.4.1.42), as DER writes them.
    const der = Buffer.from(pem.replace(/-----.*-----/g, ''), 'base64').toString('hex');
    expect(der).toContain('06092b06010401da47040b');
    expect(der).toContain('060960864801650304012a');
    // The control: without it, or with another, nothing opens.
    expect(() => createPrivateKey(pem)).toThrow();
    expect(() => createPrivateKey({ key: pem, passphrase: 'other' })).toThrow();
  });

  it('opens the root that is there rather than to make a second one', async () => {
    const again = await createRoot({ directory, passphrase });
    expect(again.id).toBe(folder.root.id);
    expect((await readdir(directory)).filter((name) => name.startsWith('root-'))).toHaveLength(2);
    const both = await Promise.all([1, 2].map(() => createRoot({ directory: join(folder.path, 'race'), passphrase })));
    expect(new Set(both.map(({ id }) => id)).size).toBe(1);
  });

  it('refuses an empty passphrase and a lifetime that is none', async () => {
    const other = join(folder.path, 'other');
    await expect(createRoot({ directory: other, passphrase: new Secret('') })).rejects.toMatchObject({
      code: 'ROOT_PASSPHRASE_WRONG',
    });
    await expect(createRoot({ directory: other, passphrase, ttlS: 0 })).rejects.toMatchObject({
      code: 'CERTIFICATE_INPUT_INVALID',
    });
    await expect(openRoot({ directory: other })).rejects.toMatchObject({ code: 'ROOT_MISSING' });
  });

  it.each(['key-written', 'certificate-written', 'state-written', 'bundle-written'])(
    'killed at "%s" and repeated, ends as one that was not',
    async (killAt) => {
      const killed = join(folder.path, 'killed');
      const input = { what: 'create', directory: killed, passphrase: passphrase.reveal(), killAt };
      expect(await runChild('rotation-child.ts', input)).toEqual({ signal: 'SIGKILL', said: `killed at ${killAt}` });
      const root = await createRoot({ directory: killed, passphrase, curve: 'P-256' });
      expect((await readdir(killed)).filter((name) => !name.startsWith('.') && name !== 'lease').toSorted()).toEqual(
        ['ca.crt', `root-${root.id}.crt`, `root-${root.id}.key`, 'state.json'].toSorted(),
      );
      await issueFromRoot({ root, commonName: 'vault' });
    },
  );
});

describe('openRoot', () => {
  it('asks for the passphrase when something is signed, once, and not before', async () => {
    let asked = 0;
    const root = await openRoot({
      directory,
      passphrase: () => {
        asked++;
        return passphrase;
      },
    });
    expect(asked).toBe(0);
    await issueFromRoot({ root, commonName: 'vault' });
    await issueFromRoot({ root, commonName: 'vault' });
    expect(asked).toBe(1);
    expect(await readBundle(directory)).toBe(root.bundlePem);
  });

  it('without it, or with a wrong one, says which, and nothing of it', async () => {
    await expect(issueFromRoot({ root: await openRoot({ directory }), commonName: 'vault' })).rejects.toMatchObject({
      code: 'ROOT_LOCKED',
    });
    const wrong = await openRoot({ directory, passphrase: new Secret('hunter2-hunter2') });
    const error: unknown = await issueFromRoot({ root: wrong, commonName: 'vault' }).catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: 'ROOT_PASSPHRASE_WRONG' });
    expect(inspect(error, { depth: Infinity, showHidden: true })).not.toMatch(/hunter2|PRIVATE KEY/);
    expect(inspect(wrong, { depth: Infinity, showHidden: true })).not.toMatch(/hunter2/);
  });

  it('refuses files that are damaged, of another root, or open to others', async () => {
    const { id } = folder.root;
    const path = await keyFile();
    await using other = await rootFolder();
    const [theirs = ''] = (await readdir(other.root.directory)).filter((name) => name.endsWith('.key'));
    const original = await readFile(path);
    const unlock = async () => (await openRoot({ directory, passphrase })).unlock();

    await writeFile(path, await readFile(join(other.root.directory, theirs)));
    await expect(unlock()).rejects.toMatchObject({ code: 'ROOT_DAMAGED' });
    await writeFile(path, original);
    await chmod(path, 0o644);
    await expect(unlock()).rejects.toMatchObject({ code: 'FILE_TOO_OPEN' });
    await chmod(path, 0o600);
    await unlock();

    await writeFile(join(directory, `root-${id}.crt`), other.root.certificatePem);
    await expect(openRoot({ directory })).rejects.toMatchObject({ code: 'ROOT_DAMAGED' });
    await rm(join(directory, `root-${id}.crt`));
    await expect(openRoot({ directory })).rejects.toMatchObject({ code: 'ROOT_DAMAGED' });
    for (const text of ['{', '{"version":2}', '{"version":1,"active":"../x","retiring":[]}']) {
      await writeFile(join(directory, 'state.json'), text);
      await expect(openRoot({ directory })).rejects.toMatchObject({ code: 'ROOT_DAMAGED' });
    }
  });

  it('mends a bundle that is behind', async () => {
    await writeFile(folder.root.bundlePath, 'nothing');
    expect(await readBundle(directory)).toBe(folder.root.certificatePem);
  });
});

describe('issueFromRoot', () => {
  it('makes a server’s certificate for names and addresses, for 90 days, begun five minutes ago', async () => {
    const leaf = await issueFromRoot({
      root: folder.root,
      commonName: 'vault',
      dnsNames: ['localhost', 'vault'],
      ipAddresses: ['127.0.0.1', '::1', '172.20.1.10'],
    });
    const certificate = new X509Certificate(leaf.certificatePem);
    expect(certificate.subjectAltName).toBe(
      'DNS:vault, DNS:localhost, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1, IP Address:172.20.1.10',
    );
    expect(certificate.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1']);
    expect(certificate.ca).toBe(false);
    expect((leaf.notAfter.getTime() - Date.now()) / 86_400_000).toBeCloseTo(90, 2);
    expect(Date.now() - leaf.notBefore.getTime()).toBeGreaterThan(290_000);
    expect(Date.now() - leaf.notBefore.getTime()).toBeLessThan(310_000);
    expect(leaf.chainPem).toBe('');
    expect(inspect(leaf)).not.toContain('PRIVATE KEY');
  });

  it('may be for a client, for a minute, and never for longer than the root', async () => {
    const { root } = folder;
    const client = await issueFromRoot({ root, commonName: 'api', server: false, client: true, ttlS: 60 });
    expect(new X509Certificate(client.certificatePem).keyUsage).toEqual(['1.3.6.1.5.5.7.3.2']);
    expect(client.notAfter.getTime() - client.notBefore.getTime()).toBe(360_000);
    const long = await issueFromRoot({ root, commonName: 'x', ttlS: 100 * 365 * 86_400 });
    expect(long.notAfter).toEqual(root.notAfter);
    await expect(issueFromRoot({ root, commonName: 'bad name' })).rejects.toMatchObject({
      code: 'CERTIFICATE_INPUT_INVALID',
    });
  });
});
