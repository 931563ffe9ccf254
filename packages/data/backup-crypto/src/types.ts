import type { Secret } from '@devstack-core/redaction';

/** Zstandard at level 3 before the encryption, or nothing. */
export type Compression = 'zstd' | 'none';

/** A length and a digest: SHA-256 in lower-case hex, or HMAC-SHA-256 where a `plainKey` was given. */
export interface Measure {
  readonly bytes: number;
  readonly sha256: string;
}

/** Both sides of one artifact: `plain` before compression and encryption, `cipher` the bytes of the file. */
export interface Measured {
  readonly plain: Measure;
  readonly cipher: Measure;
}

/** What the caller knows of an artifact already; what is left out is not compared. */
export interface Expected {
  readonly plain?: Measure | undefined;
  readonly cipher?: Measure | undefined;
}

/** Bytes so far, of both sides. */
export interface Progress {
  readonly plainBytes: number;
  readonly cipherBytes: number;
}

interface Common {
  /** `zstd` by default, on both ways. */
  readonly compress?: Compression | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** How `encrypt` locks: each of the passphrases opens the message alone, and each recipient's private key does. */
export interface EncryptOptions extends Common {
  /** At least one, unless there are recipients; each must pass `checkPassphrase`. gpg 2.2 tries only the first of them. */
  readonly passphrases: readonly Secret[];
  /** Armored OpenPGP public keys. */
  readonly recipients?: readonly string[] | undefined;
}

interface FileCommon extends Common {
  /** In place of SHA-256, the digest of the plain side is HMAC-SHA-256 under this key: a digest of a small secret would be an oracle. */
  readonly plainKey?: Secret<Uint8Array> | undefined;
  /** At most every 100 ms, and once at the end. */
  readonly onProgress?: ((progress: Progress) => void) | undefined;
}

/** An artifact that is only compressed (`.zst`): `--no-encrypt`. */
export interface Unencrypted {
  readonly encrypted: false;
}

/** Options of `encryptToFile`. */
export type EncryptToFileOptions = FileCommon & (({ readonly encrypted?: true } & EncryptOptions) | Unencrypted);

/** Options of `verifyFile`, `decryptToFile` and `openVerified`. */
export type DecryptOptions = FileCommon & { readonly expect?: Expected | undefined } & (
    { readonly encrypted?: true; readonly passphrase: Secret } | Unencrypted
  );

/** Options of `reencryptFile`. */
export interface ReencryptOptions extends FileCommon {
  readonly passphrase: Secret;
  readonly expect?: Expected | undefined;
  /** How the new file is locked. */
  readonly next: Pick<EncryptOptions, 'passphrases' | 'recipients'>;
}
