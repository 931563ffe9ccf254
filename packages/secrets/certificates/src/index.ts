export { CertificatesErrorCode } from './errors.ts';
export {
  createRoot,
  issueFromRoot,
  openRoot,
  readBundle,
  type IssueFromRootOptions,
  type Passphrase,
  type RootAuthority,
} from './root.ts';
export type { NewRoot, RootState, RootStep } from './root-store.ts';
export type { Curve } from './private-key.ts';
export type { CertificateSubject } from './subject.ts';
export { ensurePki, type EnsurePkiOptions, type PkiEvent, type PkiReport } from './pki.ts';
export type { PkiRole } from './pki-roles.ts';
export { issueLeaf, type IssueLeafOptions } from './issue-leaf.ts';
export type { LeafCertificate } from './leaf-certificate.ts';
export { needsRenewal, renewalTime, type Lifetime } from './needs-renewal.ts';
