import { X509Certificate } from 'node:crypto';
import { DevstackError } from '@devstack-core/errors';
import type { VaultClient } from '@devstack-core/vault-client';
import { dayMs, defaultTtlS } from './duration.ts';
import { CertificatesErrorCode } from './errors.ts';
import { certificateId, isIssuedBy, pemOf } from './pem.ts';
import { readIssuers, usableIssuer, type Issuer } from './pki-issuers.ts';
import { checkRoles, differing, roleSettings, tidySettings, type PkiRole } from './pki-roles.ts';
import { trustedRoots, type RootAuthority } from './root.ts';
import { signIntermediate } from './signing.ts';
import { checkTtl } from './subject.ts';

export interface EnsurePkiOptions {
  /** With a token that may administer the mount. */
  readonly client: VaultClient;
  readonly root: RootAuthority;
  readonly roles: readonly PkiRole[];
  /** Default `pki`. */
  readonly mount?: string;
  /** Default 3 years; it is renewed with a third left. */
  readonly intermediateTtlS?: number;
  readonly commonName?: string;
  readonly organization?: string;
  readonly now?: () => Date;
  readonly onEvent?: (event: PkiEvent) => void;
}

/** `step` is what the report names: `mount pki`, `intermediate`, `role postgres`. A `key-made` comes between the ends of `intermediate`. */
export interface PkiEvent {
  readonly type: 'step-started' | 'key-made' | 'request-signed' | 'step-done';
  readonly step: string;
}

export interface PkiReport {
  /** What was made or changed; empty for a PKI that was as declared. */
  readonly changed: readonly string[];
  readonly intermediate: {
    readonly issuerId: string;
    readonly certificatePem: string;
    readonly serial: string;
    readonly notBefore: Date;
    readonly notAfter: Date;
  };
  /** Every root to trust. */
  readonly caBundlePem: string;
}

/** Keys and issuers of ours carry this in their names; others of the same mount are never touched. */
const keyPrefix = 'devstack-intermediate-';

/**
 * Brings Vault's PKI to what is declared: an intermediate of this root whose key is made in Vault and never leaves, the roots to trust, a
 * role each. It writes only what differs, can be repeated, and goes on where it was killed. The root's key is asked for only when an
 * intermediate must be signed. Throws `CERTIFICATE_INPUT_INVALID` before it does anything, `PKI_MOUNT_TAKEN`, `ROOT_LOCKED`,
 * `ROOT_PASSPHRASE_WRONG`, and what the client throws.
 */
export async function ensurePki(options: EnsurePkiOptions): Promise<PkiReport> {
  checkRoles(options.roles);
  const ttlS = options.intermediateTtlS ?? defaultTtlS.intermediate;
  checkTtl('intermediateTtlS', ttlS);
  const run = new PkiRun(options, ttlS);
  await run.ensureMount();
  await run.ensureTidying();
  await run.ensureRoots();
  const intermediate = await run.ensureIntermediate();
  for (const role of options.roles) await run.ensureRole(role);
  await run.prune();
  return {
    changed: run.changed,
    intermediate: {
      issuerId: intermediate.issuerId,
      certificatePem: pemOf(intermediate.certificate),
      serial: intermediate.certificate.serialNumber,
      notBefore: intermediate.certificate.validFromDate,
      notAfter: intermediate.certificate.validToDate,
    },
    caBundlePem: options.root.bundlePem,
  };
}

class PkiRun {
  readonly changed: string[] = [];
  readonly #options: EnsurePkiOptions;
  readonly #client: VaultClient;
  readonly #mount: string;
  readonly #ttlS: number;
  readonly #root: X509Certificate;
  readonly #now: Date;

  constructor(options: EnsurePkiOptions, ttlS: number) {
    this.#options = options;
    this.#client = options.client;
    this.#mount = options.mount ?? 'pki';
    this.#ttlS = ttlS;
    this.#root = new X509Certificate(options.root.certificatePem);
    this.#now = options.now?.() ?? new Date();
  }

  async ensureMount(): Promise<void> {
    const path = this.#mount;
    // Leaves end with their issuer at the latest; the mount must let them live that long, and intermediates longer.
    const maxLeaseTtlS = Math.max(this.#ttlS, ...this.#options.roles.map(({ ttlS }) => ttlS ?? defaultTtlS.leaf));
    const found = (await this.#client.listMounts())[path];
    if (found !== undefined && found.type !== 'pki') {
      throw new DevstackError({
        code: CertificatesErrorCode.mountTaken,
        message: `The mount "${path}" of Vault is of the type "${found.type}", not "pki".`,
        hint: 'Choose another mount.',
        details: { mount: path, type: found.type },
      });
    }
    if (found === undefined)
      await this.#step(`mount ${path}`, () => this.#client.enableMount({ path, type: 'pki', maxLeaseTtlS }));
    else if (found.maxLeaseTtlS !== Math.floor(maxLeaseTtlS))
      await this.#step(`tune ${path}`, () => this.#client.tuneMount({ path, maxLeaseTtlS: Math.floor(maxLeaseTtlS) }));
  }

  async ensureTidying(): Promise<void> {
    const found = await this.#client.readPkiAutoTidy({ mount: this.#mount });
    if (differing(tidySettings, found).length > 0)
      await this.#step('tidying', () => this.#client.writePkiAutoTidy(tidySettings, { mount: this.#mount }));
  }

  /** The roots stand in the mount without keys: whoever logs in finds there whom to trust, also while roots are exchanged. */
  async ensureRoots(): Promise<void> {
    const mount = this.#mount;
    for (const { id, pem } of await trustedRoots(this.#options.root)) {
      const name = `root-${id}`;
      const found = (await readIssuers(this.#client, mount)).find(
        ({ certificate }) => certificateId(certificate) === id,
      );
      if (found === undefined)
        await this.#step(name, async () => {
          const { imported } = await this.#client.importPkiCertificates(pem, { mount });
          const [issuer] = imported;
          if (issuer !== undefined) await this.#describe(issuer, name);
        });
      else if (found.name !== name) await this.#step(name, () => this.#describe(found.issuerId, name));
    }
  }

  async ensureIntermediate(): Promise<Issuer> {
    let issuer = this.#usable(await readIssuers(this.#client, this.#mount));
    if (issuer === undefined) {
      await this.#step('intermediate', () => this.#makeIntermediate());
      issuer = this.#usable(await readIssuers(this.#client, this.#mount));
    }
    if (issuer === undefined) throw notKept(this.#mount);
    const { issuerId, certificate } = issuer;
    const name = `intermediate-${certificateId(certificate)}`;
    // With `truncate` a leaf that would outlive its issuer ends with it, rather than not to be issued at all.
    if (issuer.name !== name || issuer.leafNotAfterBehavior !== 'truncate')
      await this.#step('issuer', () => this.#describe(issuerId, name));
    if (!issuer.isDefault)
      await this.#step('default', () => this.#client.setPkiDefaultIssuer(issuerId, { mount: this.#mount }));
    return issuer;
  }

  async ensureRole(role: PkiRole): Promise<void> {
    const settings = roleSettings(role);
    const found = await this.#client.readPkiRole(role.name, { mount: this.#mount });
    if (differing(settings, found).length > 0)
      await this.#step(`role ${role.name}`, () =>
        this.#client.writePkiRole(role.name, settings, { mount: this.#mount }),
      );
  }

  /** Takes away what no longer serves: our intermediates that are over or whose root is not trusted, such roots, and keys without an issuer. */
  async prune(): Promise<void> {
    const mount = this.#mount;
    const trusted = (await trustedRoots(this.#options.root)).map(({ pem }) => new X509Certificate(pem));
    const issuers = await readIssuers(this.#client, mount);
    const isGone = ({ name = '', certificate }: Issuer): boolean =>
      (name.startsWith('root-') && !trusted.some((root) => root.fingerprint256 === certificate.fingerprint256)) ||
      (name.startsWith('intermediate-') &&
        (certificate.validToDate <= this.#now || !trusted.some((root) => isIssuedBy(certificate, root))));
    const gone = issuers.filter((issuer) => !issuer.isDefault && isGone(issuer));
    for (const { issuerId, name = issuerId } of gone)
      await this.#step(`remove ${name}`, () => this.#client.deletePkiIssuer(issuerId, { mount }));
    const used = new Set(issuers.filter((issuer) => !gone.includes(issuer)).map(({ keyId }) => keyId));
    for (const { keyId, name = '' } of await this.#client.listPkiKeys({ mount }))
      if (name.startsWith(keyPrefix) && !used.has(keyId))
        await this.#step(`remove ${name}`, () => this.#client.deletePkiKey(keyId, { mount }));
  }

  #usable(issuers: readonly Issuer[]): Issuer | undefined {
    return usableIssuer(issuers, this.#root, this.#now, this.#leftMs());
  }

  /** A third of what an intermediate of this root can live: near the root's own end that is less than was asked for. */
  #leftMs(): number {
    const untilRootEnds = this.#root.validToDate.getTime() - this.#now.getTime();
    return Math.min((this.#ttlS * 1000) / 3, Math.max(0, untilRootEnds - dayMs));
  }

  async #makeIntermediate(): Promise<void> {
    const { root, commonName = 'DevStack intermediate CA', organization = 'DevStack' } = this.#options;
    const mount = this.#mount;
    // First, so that a wrong passphrase leaves no key behind.
    const signer = { key: await root.unlock(), certificatePem: root.certificatePem };
    const issuers = await readIssuers(this.#client, mount);
    const reused = await this.#keyToSign(issuers);
    const keyName = `${keyPrefix}${this.#now.toISOString().slice(0, 10)}-${crypto.randomUUID().slice(0, 8)}`;
    const name = reused?.name ?? keyName;
    const before = issuers.find(({ keyId }) => keyId !== undefined && keyId === reused?.keyId);
    const subject = before === undefined ? undefined : new Map(before.certificate.subject.split('\n').map(partOf));
    const { csrPem } = await this.#client.generatePkiIntermediate({
      mount,
      // The name goes with the key: a certificate by the next root replaces that of the last in every chain.
      commonName: subject?.get('CN') ?? `${commonName} ${name.slice(keyPrefix.length)}`,
      organization: subject?.get('O') ?? organization,
      ...(reused === undefined ? { keyName, keyType: 'ec', keyBits: 256 } : { keyId: reused.keyId }),
    });
    this.#options.onEvent?.({ type: 'key-made', step: 'intermediate' });
    const certificate = await signIntermediate(signer, { csrPem, ttlS: this.#ttlS, now: this.#now });
    this.#options.onEvent?.({ type: 'request-signed', step: 'intermediate' });
    await this.#client.importPkiCertificates(certificate, { mount });
  }

  /** A key that a killed run left, or, when the root was exchanged, that of the intermediate which is still good. Else a new one is made. */
  async #keyToSign(issuers: readonly Issuer[]): Promise<{ keyId: string; name: string } | undefined> {
    const keys = (await this.#client.listPkiKeys({ mount: this.#mount })).filter(({ name }) =>
      name?.startsWith(keyPrefix),
    );
    const isFree = (keyId: string): boolean => !issuers.some((issuer) => issuer.keyId === keyId);
    const isOfAnotherRoot = (keyId: string): boolean => {
      const own = issuers.filter((issuer) => issuer.keyId === keyId);
      const isYoung = own.some(
        ({ certificate }) => certificate.validToDate.getTime() - this.#now.getTime() > this.#leftMs(),
      );
      return isYoung && !own.some(({ certificate }) => isIssuedBy(certificate, this.#root));
    };
    const key = keys.find(({ keyId }) => isFree(keyId)) ?? keys.find(({ keyId }) => isOfAnotherRoot(keyId));
    return key === undefined ? undefined : { keyId: key.keyId, name: key.name ?? keyPrefix };
  }

  #describe(issuer: string, name: string): Promise<void> {
    return this.#client.writePkiIssuer(issuer, { name, leafNotAfterBehavior: 'truncate' }, { mount: this.#mount });
  }

  async #step(step: string, work: () => Promise<unknown>): Promise<void> {
    this.#options.onEvent?.({ type: 'step-started', step });
    await work();
    this.changed.push(step);
    this.#options.onEvent?.({ type: 'step-done', step });
  }
}

function partOf(line: string): [string, string] {
  const at = line.indexOf('=');
  return [line.slice(0, at), line.slice(at + 1)];
}

function notKept(mount: string): DevstackError {
  return new DevstackError({
    code: CertificatesErrorCode.unexpected,
    message: `Vault did not keep the intermediate that was put into "${mount}".`,
    hint: 'Something else changes the same mount, or the root is about to end: stop it, or make a new root.',
    details: { mount },
  });
}
