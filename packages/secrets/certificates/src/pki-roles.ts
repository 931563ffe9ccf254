import type { PkiAutoTidy, PkiRoleSettings } from '@devstack-core/vault-client';
import { backdateMs, defaultTtlS } from './duration.ts';
import { checkSubject, inputInvalid } from './subject.ts';

/** What one service may have certificates for. */
export interface PkiRole {
  readonly name: string;
  /** Exact names: neither subdomains nor wildcards. The first is the usual common name. */
  readonly dnsNames: readonly string[];
  /** Whether addresses may stand in its certificates. Vault cannot say which. Default false. */
  readonly ipAddresses?: boolean;
  /** Whether `localhost` may, for clients inside the container. Default true. */
  readonly localhost?: boolean;
  /** Default true. */
  readonly server?: boolean;
  /** Default false. */
  readonly client?: boolean;
  /** The longest and usual lifetime. Default 90 days. */
  readonly ttlS?: number;
}

/** Throws `CERTIFICATE_INPUT_INVALID`. */
export function checkRoles(roles: readonly PkiRole[]): void {
  const names = roles.map(({ name }) => name);
  const problems = [
    ...names.filter((name, index) => names.indexOf(name) !== index).map((name) => `role "${name}" is given twice`),
    ...roles.filter(({ name }) => !/^[\w-]+$/.test(name)).map(({ name }) => `"${name}" is no name of a role`),
    ...roles.filter(({ dnsNames }) => dnsNames.length === 0).map(({ name }) => `role "${name}" has no names`),
    ...roles
      .filter(({ server = true, client = false }) => !server && !client)
      .map(({ name }) => `role "${name}" is neither for a server nor for a client`),
  ];
  if (problems.length > 0) throw inputInvalid(problems);
  for (const { dnsNames } of roles) checkSubject({ commonName: dnsNames[0] ?? '', dnsNames });
}

/** A role as Vault stores it: everything that widens it is written out, so that a change behind our back is seen and mended. */
export function roleSettings(role: PkiRole): PkiRoleSettings {
  const ttlS = role.ttlS ?? defaultTtlS.leaf;
  return {
    allowedDomains: role.dnsNames,
    allowBareDomains: true,
    allowSubdomains: false,
    allowGlobDomains: false,
    allowWildcardCertificates: false,
    allowAnyName: false,
    allowLocalhost: role.localhost ?? true,
    allowIpSans: role.ipAddresses ?? false,
    serverFlag: role.server ?? true,
    clientFlag: role.client ?? false,
    codeSigningFlag: false,
    emailProtectionFlag: false,
    keyType: 'ec',
    keyBits: 256,
    keyUsage: ['DigitalSignature'],
    // The request names what is wanted beside the CSR, so that a role is checked against one list.
    useCsrCommonName: false,
    useCsrSans: false,
    requireCn: true,
    // Stored, so that a certificate can be listed and revoked; the tidying below keeps the store small.
    noStore: false,
    generateLease: false,
    ttlS,
    maxTtlS: ttlS,
    notBeforeDurationS: backdateMs.leaf / 1000,
  };
}

/** What is kept of the mount's own tidying: expired certificates go after three days, twice a day. */
export const tidySettings: PkiAutoTidy = {
  enabled: true,
  intervalS: 43_200,
  safetyBufferS: 259_200,
  tidyCertStore: true,
  tidyRevokedCerts: true,
};

/** The names of the settings in which two differ. */
export function differing<Settings extends object>(wanted: Settings, found: Settings | undefined): string[] {
  const known = new Map(Object.entries(found ?? {}));
  return Object.entries(wanted)
    .filter(([key, value]) => JSON.stringify(known.get(key)) !== JSON.stringify(value))
    .map(([key]) => key);
}
