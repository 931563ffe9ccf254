import { Secret } from '@devstack-core/redaction';
import {
  fields,
  given,
  listKeys,
  means,
  number,
  optionalText,
  orUndefined,
  readData,
  text,
  texts,
  vaultPath,
  type Fields,
  type Send,
} from './send.ts';

/** An issuer as its mount lists it. Without a `keyId` it only stands in chains: a root whose key is elsewhere. */
export interface PkiIssuerEntry {
  readonly issuerId: string;
  readonly name: string | undefined;
  readonly keyId: string | undefined;
  readonly isDefault: boolean;
}

export interface PkiIssuer {
  readonly issuerId: string;
  readonly name: string | undefined;
  readonly keyId: string | undefined;
  readonly certificatePem: string;
  /** From the issuer itself to the root, as far as the mount knows it. */
  readonly chainPem: readonly string[];
  /** `err`, `truncate` or `permit`. */
  readonly leafNotAfterBehavior: string;
}

/** A key of a mount; the key itself never leaves Vault. */
export interface PkiKeyEntry {
  readonly keyId: string;
  readonly name: string | undefined;
}

/** What a role allows. Names are exact: no subdomains, no wildcards. A field that is not given keeps Vault's default. */
export interface PkiRoleSettings {
  readonly allowedDomains?: readonly string[];
  readonly allowBareDomains?: boolean;
  readonly allowSubdomains?: boolean;
  readonly allowGlobDomains?: boolean;
  readonly allowWildcardCertificates?: boolean;
  readonly allowAnyName?: boolean;
  readonly allowLocalhost?: boolean;
  readonly allowIpSans?: boolean;
  readonly serverFlag?: boolean;
  readonly clientFlag?: boolean;
  readonly codeSigningFlag?: boolean;
  readonly emailProtectionFlag?: boolean;
  readonly keyType?: string;
  readonly keyBits?: number;
  readonly keyUsage?: readonly string[];
  readonly useCsrCommonName?: boolean;
  readonly useCsrSans?: boolean;
  readonly requireCn?: boolean;
  readonly noStore?: boolean;
  readonly generateLease?: boolean;
  readonly organization?: readonly string[];
  readonly ttlS?: number;
  readonly maxTtlS?: number;
  readonly notBeforeDurationS?: number;
}

/** How a mount removes what is over, by itself. */
export interface PkiAutoTidy {
  readonly enabled: boolean;
  readonly intervalS: number;
  /** How long after its end a certificate is kept. */
  readonly safetyBufferS: number;
  readonly tidyCertStore: boolean;
  readonly tidyRevokedCerts: boolean;
}

/** A certificate that Vault just signed. */
export interface SignedCertificate {
  readonly certificatePem: string;
  readonly issuingCaPem: string;
  /** Without the certificate itself: from its issuer to the root, as far as the mount knows it. */
  readonly chainPem: readonly string[];
  /** As Vault writes it: hexadecimal bytes with colons. */
  readonly serial: string;
}

export interface SignOptions {
  readonly mount?: string;
  readonly role: string;
  readonly commonName: string;
  readonly dnsNames?: readonly string[];
  readonly ipAddresses?: readonly string[];
  /** The role's own unless given. */
  readonly ttlS?: number;
}

/** Vault's PKI engine. `mount` is `pki` unless given; an issuer is named by its id, its name or `default`. */
export interface PkiCalls {
  /** Needs no token. */
  listPkiIssuers(options?: MountOption): Promise<PkiIssuerEntry[]>;
  /** Undefined for one that is not there. */
  readPkiIssuer(issuer: string, options?: MountOption): Promise<PkiIssuer | undefined>;
  /** The certificate alone, which anyone may read: needs no token. */
  readPkiCertificate(issuer: string, options?: MountOption): Promise<string | undefined>;
  writePkiIssuer(
    issuer: string,
    settings: { readonly name: string; readonly leafNotAfterBehavior: string },
    options?: MountOption,
  ): Promise<void>;
  /** One that is not there is fine. Its key stays. */
  deletePkiIssuer(issuer: string, options?: MountOption): Promise<void>;
  setPkiDefaultIssuer(issuer: string, options?: MountOption): Promise<void>;
  listPkiKeys(options?: MountOption): Promise<PkiKeyEntry[]>;
  deletePkiKey(key: string, options?: MountOption): Promise<void>;
  /** A signing request of a key that is made in Vault and stays there, or of one that is there already (`keyId`). */
  generatePkiIntermediate(options: {
    readonly mount?: string;
    readonly commonName: string;
    readonly organization?: string;
    readonly keyId?: string;
    /** Of a new key; unlike that of any other key of the mount. */
    readonly keyName?: string;
    readonly keyType?: string;
    readonly keyBits?: number;
  }): Promise<{ readonly csrPem: string; readonly keyId: string }>;
  /** Adds certificates; those whose key is in the mount become issuers. `issuers` holds what is new and what was there. */
  importPkiCertificates(
    pem: string,
    options?: MountOption,
  ): Promise<{
    readonly imported: readonly string[];
    readonly existing: readonly string[];
    readonly keyOfIssuer: Readonly<Record<string, string>>;
  }>;
  listPkiRoles(options?: MountOption): Promise<string[]>;
  readPkiRole(role: string, options?: MountOption): Promise<Required<PkiRoleSettings> | undefined>;
  writePkiRole(role: string, settings: PkiRoleSettings, options?: MountOption): Promise<void>;
  deletePkiRole(role: string, options?: MountOption): Promise<void>;
  readPkiAutoTidy(options?: MountOption): Promise<PkiAutoTidy>;
  writePkiAutoTidy(settings: PkiAutoTidy, options?: MountOption): Promise<void>;
  /** Signs a request whose key stays with the caller. */
  signPkiCertificate(options: SignOptions & { readonly csrPem: string }): Promise<SignedCertificate>;
  /** Vault makes the key, too. */
  issuePkiCertificate(options: SignOptions): Promise<SignedCertificate & { readonly privateKey: Secret }>;
  revokePkiCertificate(serial: string, options?: MountOption): Promise<void>;
}

export interface MountOption {
  readonly mount?: string;
}

export function pkiCalls(send: Send): PkiCalls {
  const entries = async (path: string): Promise<[string, Fields][]> => {
    const data = await orUndefined(readData(send, { method: 'LIST', path }));
    const info = fields(data?.['key_info']);
    return texts(data?.['keys']).map((id) => [id, fields(info[id])]);
  };
  const write = async (path: string, json: Fields, repeatable = true): Promise<Fields> =>
    readData(send, { method: 'POST', path, json, repeatable });
  const at = (options: MountOption | undefined, ...parts: readonly string[]): string =>
    vaultPath(options?.mount ?? 'pki', ...parts);

  return {
    async listPkiIssuers(options) {
      return (await entries(at(options, 'issuers'))).map(([issuerId, info]) => ({
        issuerId,
        name: optionalText(info['issuer_name']),
        keyId: optionalText(info['key_id']),
        isDefault: info['is_default'] === true,
      }));
    },
    async readPkiIssuer(issuer, options) {
      const data = await missing(readData(send, { method: 'GET', path: at(options, 'issuer', issuer) }));
      if (data === undefined) return undefined;
      return {
        issuerId: text(data['issuer_id']),
        name: optionalText(data['issuer_name']),
        keyId: optionalText(data['key_id']),
        certificatePem: text(data['certificate']),
        chainPem: texts(data['ca_chain']),
        leafNotAfterBehavior: text(data['leaf_not_after_behavior']),
      };
    },
    async readPkiCertificate(issuer, options) {
      const data = await missing(readData(send, { method: 'GET', path: at(options, 'issuer', issuer, 'json') }));
      return data === undefined ? undefined : text(data['certificate']);
    },
    async writePkiIssuer(issuer, { name, leafNotAfterBehavior }, options) {
      await write(at(options, 'issuer', issuer), {
        issuer_name: name,
        leaf_not_after_behavior: leafNotAfterBehavior,
      });
    },
    async deletePkiIssuer(issuer, options) {
      await missing(send({ method: 'DELETE', path: at(options, 'issuer', issuer) }));
    },
    async setPkiDefaultIssuer(issuer, options) {
      await write(at(options, 'config', 'issuers'), { default: issuer });
    },
    async listPkiKeys(options) {
      return (await entries(at(options, 'keys'))).map(([keyId, info]) => ({
        keyId,
        name: optionalText(info['key_name']),
      }));
    },
    async deletePkiKey(key, options) {
      await missing(send({ method: 'DELETE', path: at(options, 'key', key) }));
    },
    async generatePkiIntermediate({ mount, commonName, organization, keyId, keyName, keyType, keyBits }) {
      const path = at({ mount: mount ?? 'pki' }, 'issuers', 'generate', 'intermediate');
      const json = given({
        common_name: commonName,
        organization,
        key_ref: keyId,
        key_name: keyId === undefined ? keyName : undefined,
        key_type: keyType,
        key_bits: keyBits,
        add_basic_constraints: true,
      });
      // A second try after a lost answer would leave a second key behind.
      const data = await write(`${path}/${keyId === undefined ? 'internal' : 'existing'}`, json, keyId !== undefined);
      return { csrPem: text(data['csr']), keyId: text(data['key_id']) };
    },
    async importPkiCertificates(pem, options) {
      const data = await write(at(options, 'issuers', 'import', 'cert'), { pem_bundle: pem });
      return {
        imported: texts(data['imported_issuers']),
        existing: texts(data['existing_issuers']),
        keyOfIssuer: fields(data['mapping']) as Record<string, string>,
      };
    },
    listPkiRoles: (options) => listKeys(send, at(options, 'roles')),
    async readPkiRole(role, options) {
      const data = await orUndefined(readData(send, { method: 'GET', path: at(options, 'roles', role) }));
      return data === undefined ? undefined : roleOf(data);
    },
    async writePkiRole(role, settings, options) {
      await write(at(options, 'roles', role), roleFields(settings));
    },
    async deletePkiRole(role, options) {
      await send({ method: 'DELETE', path: at(options, 'roles', role) });
    },
    async readPkiAutoTidy(options) {
      const data = await readData(send, { method: 'GET', path: at(options, 'config', 'auto-tidy') });
      return {
        enabled: data['enabled'] === true,
        intervalS: number(data['interval_duration']),
        safetyBufferS: number(data['safety_buffer']),
        tidyCertStore: data['tidy_cert_store'] === true,
        tidyRevokedCerts: data['tidy_revoked_certs'] === true,
      };
    },
    async writePkiAutoTidy(settings, options) {
      await write(at(options, 'config', 'auto-tidy'), {
        enabled: settings.enabled,
        interval_duration: settings.intervalS,
        safety_buffer: settings.safetyBufferS,
        tidy_cert_store: settings.tidyCertStore,
        tidy_revoked_certs: settings.tidyRevokedCerts,
      });
    },
    async signPkiCertificate({ csrPem, ...options }) {
      return signed(await write(at(options, 'sign', options.role), { csr: csrPem, ...requested(options) }, false));
    },
    async issuePkiCertificate(options) {
      const data = await write(
        at(options, 'issue', options.role),
        { ...requested(options), private_key_format: 'pkcs8' },
        false,
      );
      return { ...signed(data), privateKey: new Secret(text(data['private_key'])) };
    },
    async revokePkiCertificate(serial, options) {
      await write(at(options, 'revoke'), { serial_number: serial });
    },
  };
}

/** Vault says of an issuer or key that is not there 404 or, by the path, 400 or 500 with a text of its own. */
async function missing<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await orUndefined(work);
  } catch (error) {
    if (means(error, 'no-such-issuer')) return undefined;
    throw error;
  }
}

function requested({ commonName, dnsNames = [], ipAddresses = [], ttlS }: SignOptions): Fields {
  return given({
    common_name: commonName,
    alt_names: dnsNames.join(','),
    ip_sans: ipAddresses.join(','),
    ttl: ttlS === undefined ? undefined : `${String(ttlS)}s`,
    format: 'pem',
  });
}

function signed(data: Fields): SignedCertificate {
  return {
    certificatePem: text(data['certificate']),
    issuingCaPem: text(data['issuing_ca']),
    chainPem: texts(data['ca_chain']),
    serial: text(data['serial_number']),
  };
}

/** Vault's name of each setting; durations are sent with their unit and come back as seconds. */
const names = {
  allowedDomains: 'allowed_domains',
  allowBareDomains: 'allow_bare_domains',
  allowSubdomains: 'allow_subdomains',
  allowGlobDomains: 'allow_glob_domains',
  allowWildcardCertificates: 'allow_wildcard_certificates',
  allowAnyName: 'allow_any_name',
  allowLocalhost: 'allow_localhost',
  allowIpSans: 'allow_ip_sans',
  serverFlag: 'server_flag',
  clientFlag: 'client_flag',
  codeSigningFlag: 'code_signing_flag',
  emailProtectionFlag: 'email_protection_flag',
  keyType: 'key_type',
  keyBits: 'key_bits',
  keyUsage: 'key_usage',
  useCsrCommonName: 'use_csr_common_name',
  useCsrSans: 'use_csr_sans',
  requireCn: 'require_cn',
  noStore: 'no_store',
  generateLease: 'generate_lease',
  organization: 'organization',
  ttlS: 'ttl',
  maxTtlS: 'max_ttl',
  notBeforeDurationS: 'not_before_duration',
} as const satisfies Record<keyof PkiRoleSettings, string>;

function roleFields(settings: PkiRoleSettings): Fields {
  return Object.fromEntries(
    Object.entries(settings).map(([key, value]) => [
      names[key as keyof PkiRoleSettings],
      key.endsWith('S') && typeof value === 'number' ? `${String(value)}s` : value,
    ]),
  );
}

function roleOf(data: Fields): Required<PkiRoleSettings> {
  const flag = (key: keyof PkiRoleSettings): boolean => data[names[key]] === true;
  return {
    allowedDomains: texts(data['allowed_domains']),
    allowBareDomains: flag('allowBareDomains'),
    allowSubdomains: flag('allowSubdomains'),
    allowGlobDomains: flag('allowGlobDomains'),
    allowWildcardCertificates: flag('allowWildcardCertificates'),
    allowAnyName: flag('allowAnyName'),
    allowLocalhost: flag('allowLocalhost'),
    allowIpSans: flag('allowIpSans'),
    serverFlag: flag('serverFlag'),
    clientFlag: flag('clientFlag'),
    codeSigningFlag: flag('codeSigningFlag'),
    emailProtectionFlag: flag('emailProtectionFlag'),
    keyType: text(data['key_type']),
    keyBits: number(data['key_bits']),
    keyUsage: texts(data['key_usage']),
    useCsrCommonName: flag('useCsrCommonName'),
    useCsrSans: flag('useCsrSans'),
    requireCn: flag('requireCn'),
    noStore: flag('noStore'),
    generateLease: flag('generateLease'),
    organization: texts(data['organization']),
    ttlS: number(data['ttl']),
    maxTtlS: number(data['max_ttl']),
    notBeforeDurationS: number(data['not_before_duration']),
  };
}
