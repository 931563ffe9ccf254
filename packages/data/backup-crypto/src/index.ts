export { checkPassphrase, generatePassphrase, readPassphraseFile, readPassphraseStream } from './passphrase.ts';
export { encrypt, encryptToFile, recipientFingerprint } from './encrypt.ts';
export { decryptToFile, openVerified, reencryptFile, verifyFile } from './decrypt.ts';
export { sweepStaging } from './staging.ts';
export { authenticate, deriveManifestKey, isAuthentic, manifestKeyParameters } from './manifest-key.ts';
export type {
  Compression,
  DecryptOptions,
  EncryptOptions,
  EncryptToFileOptions,
  Expected,
  Measure,
  Measured,
  Progress,
  ReencryptOptions,
  Unencrypted,
} from './types.ts';
export { BackupCryptoErrorCode } from './errors.ts';
