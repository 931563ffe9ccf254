import { createHash, randomBytes } from 'node:crypto';
import { authenticate, deriveManifestKey, isAuthentic, manifestKeyParameters } from '@devstack-core/backup-crypto';
import { Secret } from '@devstack-core/redaction';

/** What one set is locked with: a passphrase, and the key that scrypt makes of it and of the set's salt. */
export interface SetKey {
  readonly passphrase: Secret;
  readonly salt: string;
  readonly manifest: Secret<Uint8Array>;
  /** For digests of small secrets. */
  readonly plain: Secret<Uint8Array>;
  /** For digests of fingerprints. */
  readonly fingerprint: Secret<Uint8Array>;
}

/** How a manifest is authenticated. */
export type Authentication =
  | {
      readonly scheme: typeof manifestKeyParameters.scheme;
      /** Hex, of 16 bytes or more. */
      readonly salt: string;
      readonly n: number;
      readonly r: number;
      readonly p: number;
      readonly mac: string;
    }
  | { readonly scheme: 'sha256'; readonly mac: string };

/**
 * The passphrases of a store, the current one first, and the keys made of them. Scrypt is slow on purpose, so each key is derived once; sets share
 * a salt while the passphrase stays the same, which costs nothing: a salt keeps guesses at one store from serving for another.
 */
export class Keyring {
  readonly #passphrases: readonly Secret[];
  readonly #keys = new Map<string, Promise<SetKey>>();

  constructor(passphrases: readonly Secret[]) {
    this.#passphrases = passphrases;
  }

  get isEmpty(): boolean {
    return this.#passphrases.length === 0;
  }

  get passphrases(): readonly Secret[] {
    return this.#passphrases;
  }

  /** The key under which these bytes have this MAC, or undefined. */
  async find(
    bytes: Uint8Array,
    { salt, mac }: { readonly salt: string; readonly mac: string },
  ): Promise<SetKey | undefined> {
    for (const passphrase of this.#passphrases) {
      const key = await this.#key(passphrase, salt);
      if (isAuthentic(bytes, mac, key.manifest)) return key;
    }
    return undefined;
  }

  /** The key of the current passphrase for that salt, or a new one. Undefined without a passphrase. */
  async current(salt: string = randomBytes(32).toString('hex')): Promise<SetKey | undefined> {
    const [passphrase] = this.#passphrases;
    return passphrase === undefined ? undefined : this.#key(passphrase, salt);
  }

  /** Whether that key is one of the current passphrase. */
  isCurrent({ passphrase }: SetKey): boolean {
    return this.#passphrases[0]?.reveal() === passphrase.reveal();
  }

  #key(passphrase: Secret, salt: string): Promise<SetKey> {
    const name = `${String(this.#passphrases.indexOf(passphrase))}:${salt}`;
    const known = this.#keys.get(name);
    if (known !== undefined) return known;
    const made = derived(passphrase, salt);
    this.#keys.set(name, made);
    return made;
  }
}

/** What proves these bytes: a MAC under the key, or a checksum where there is none. */
export function sealOf(bytes: Uint8Array, key: SetKey | undefined): Authentication {
  if (key === undefined) return { scheme: 'sha256', mac: createHash('sha256').update(bytes).digest('hex') };
  return { ...manifestKeyParameters, salt: key.salt, mac: authenticate(bytes, key.manifest) };
}

async function derived(passphrase: Secret, salt: string): Promise<SetKey> {
  const manifest = await deriveManifestKey(passphrase, Buffer.from(salt, 'hex'));
  const subkey = (purpose: string): Secret<Uint8Array> =>
    new Secret<Uint8Array>(Buffer.from(authenticate(Buffer.from(`devstack/backup-set/1 ${purpose}`), manifest), 'hex'));
  return { passphrase, salt, manifest, plain: subkey('plain'), fingerprint: subkey('fingerprint') };
}
