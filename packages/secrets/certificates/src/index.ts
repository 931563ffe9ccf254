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
export { leafPaths, readLeaf, type InstalledLeaf, type LeafPaths } from './leaf-files.ts';
export { renew, type RenewalReason, type RenewalResult, type RenewalStep, type RenewOptions } from './renew.ts';
export { probeTls, type PresentedCertificate, type ProbeTlsOptions, type TlsVerdict } from './probe-tls.ts';
export type { TlsVerdictKind } from './tls-verdicts.ts';
export type { StartTls } from './start-tls.ts';
export { verifyServed, type VerifyServedOptions } from './verify-served.ts';
export { certificateStatus, type CertificateState, type CertificateStatus, type CertificateTarget } from './status.ts';
export { expiryMetrics } from './metrics.ts';
export { watch, type WatchedCertificate, type WatchEvent, type WatchOptions } from './watch.ts';
export {
  retireRoot,
  rotateRoot,
  type RetirementReport,
  type RetireRootOptions,
  type RotateRootOptions,
  type RotationReport,
  type RotationStep,
} from './rotation.ts';
export { probePlaintext, type PlaintextVerdict, type ProbePlaintextOptions } from './probe-plaintext.ts';
export type { PlaintextProtocol } from './plaintext-talk.ts';
