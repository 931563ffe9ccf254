/** The codes of the errors that this package throws. */
export const CertificatesErrorCode = {
  /** A name, address or lifetime that no certificate can have; nothing was done. */
  inputInvalid: 'CERTIFICATE_INPUT_INVALID',
  /** There is no root in the folder. */
  rootMissing: 'ROOT_MISSING',
  /** The files of the root contradict each other or cannot be read. */
  rootDamaged: 'ROOT_DAMAGED',
  /** The root's key is needed, and no passphrase was given. */
  rootLocked: 'ROOT_LOCKED',
  /** The passphrase does not open the root's key, or is empty. */
  passphraseWrong: 'ROOT_PASSPHRASE_WRONG',
  /** A root is to be retired that certificates in use still need. */
  rootStillUsed: 'ROOT_STILL_USED',
  /** The mount is not Vault's PKI. */
  mountTaken: 'PKI_MOUNT_TAKEN',
  /** What Vault signed is not what was asked for. */
  unexpected: 'CERTIFICATE_UNEXPECTED',
  /** No certificate is installed there. */
  missing: 'CERTIFICATE_MISSING',
  /** What is there is no certificate. */
  unreadable: 'CERTIFICATE_UNREADABLE',
  /** The clocks of this machine and of the signer are too far apart. */
  clock: 'CERTIFICATE_CLOCK',
  /** There is no new certificate; the old one stays. */
  renewalFailed: 'CERTIFICATE_RENEWAL_FAILED',
  /** The server did not take the new certificate; the old one is back. */
  rolledBack: 'CERTIFICATE_ROLLED_BACK',
  /** A server does not present the certificate that it should. */
  notServed: 'CERTIFICATE_NOT_SERVED',
} as const;
