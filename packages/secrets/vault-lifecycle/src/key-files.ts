import { join } from 'node:path';
import { readPrivateFile, removeDurable, writeFileDurable, type WriteStep } from '@devstack-core/durable-files';
import { DevstackError, isDevstackError } from '@devstack-core/errors';
import { Secret } from '@devstack-core/redaction';
import { VaultLifecycleErrorCode } from './errors.ts';

/** The unseal keys of one Vault. */
export interface VaultKeys {
  readonly version: 1;
  /** Which Vault they belong to; known from its first unseal on. */
  readonly clusterId?: string;
  readonly shares: number;
  readonly threshold: number;
  /** Hexadecimal. */
  readonly keys: readonly Secret[];
  /** ISO 8601. */
  readonly created: string;
}

/** Where the files of a Vault are, in a private folder of its own. */
export interface KeyFilePaths {
  readonly keys: string;
  readonly rootToken: string;
  readonly intent: string;
  readonly reserve: string;
}

/** The names are part of the contract with people, who back these files up. */
export function keyFilePaths(directory: string): KeyFilePaths {
  return {
    keys: join(directory, 'keys.json'),
    rootToken: join(directory, 'root-token'),
    intent: join(directory, 'init-intent.json'),
    reserve: join(directory, '.init-reserve'),
  };
}

/**
 * The keys in `keys.json`. Throws `VAULT_KEYS_LOST` where there are none, `VAULT_KEYS_DAMAGED`, `FILE_TOO_OPEN` where others may read them.
 */
export async function readKeys({ directory }: { readonly directory: string }): Promise<VaultKeys> {
  const keys = await findKeys(directory);
  if (keys !== undefined) return keys;
  throw new DevstackError({
    code: VaultLifecycleErrorCode.keysLost,
    message: `The unseal keys are not at ${keyFilePaths(directory).keys}.`,
    hint: 'Put keys.json back from your copy of it; nobody can unseal this Vault without its keys.',
    details: { path: keyFilePaths(directory).keys, safeToStartOver: false },
  });
}

/** The same, and undefined where there is no file. */
export async function findKeys(directory: string): Promise<VaultKeys | undefined> {
  const path = keyFilePaths(directory).keys;
  const text = await readIfThere(path);
  if (text === undefined) return undefined;
  const keys = parseKeys(text.reveal());
  if (keys !== undefined) return keys;
  throw new DevstackError({
    code: VaultLifecycleErrorCode.keysDamaged,
    message: `${path} is damaged: it is not the JSON that holds the unseal keys.`,
    hint: 'Put it back from your copy of it. Do not delete it: what is left of it may still be of use.',
    details: { path },
  });
}

/** The initial root token. Throws `FILE_MISSING`, `FILE_TOO_OPEN`. */
export async function readRootToken({ directory }: { readonly directory: string }): Promise<Secret> {
  const text = await readPrivateFile(keyFilePaths(directory).rootToken);
  return new Secret(text.reveal().trim());
}

export async function writeKeys(directory: string, keys: VaultKeys, onStep?: (step: WriteStep) => void): Promise<void> {
  const plain = { ...keys, keys: keys.keys.map((key) => key.reveal()) };
  await writeFileDurable(
    keyFilePaths(directory).keys,
    new Secret(`${JSON.stringify(plain, null, 2)}\n`),
    onStep === undefined ? {} : { onStep },
  );
}

export async function writeRootToken(directory: string, token: Secret): Promise<void> {
  await writeFileDurable(keyFilePaths(directory).rootToken, new Secret(`${token.reveal()}\n`));
}

/** True when a marker says that an initialisation was begun and its keys may not have been saved. */
export async function hasIntent(directory: string): Promise<boolean> {
  return (await readIfThere(keyFilePaths(directory).intent)) !== undefined;
}

export async function writeIntent(directory: string, intent: Readonly<Record<string, unknown>>): Promise<void> {
  await writeFileDurable(keyFilePaths(directory).intent, `${JSON.stringify({ version: 1, ...intent })}\n`);
}

/** Sets aside, on the disk, the room that the keys will need: a disk that gets full meanwhile cannot swallow them. */
export async function reserveRoom(directory: string): Promise<void> {
  await writeFileDurable(keyFilePaths(directory).reserve, new Uint8Array(reserveBytes).fill(0x2e));
}

export async function releaseRoom(directory: string): Promise<void> {
  await removeDurable(keyFilePaths(directory).reserve);
}

/** Both files with their temporary copies, block sizes and folder entries, many times over. */
const reserveBytes = 256 * 1024;

async function readIfThere(path: string): Promise<Secret | undefined> {
  try {
    return await readPrivateFile(path);
  } catch (error) {
    if (isDevstackError(error, 'FILE_MISSING')) return undefined;
    throw error;
  }
}

function parseKeys(text: string): VaultKeys | undefined {
  let value: Partial<Record<string, unknown>>;
  try {
    value = Object(JSON.parse(text)) as Partial<Record<string, unknown>>;
  } catch {
    return undefined;
  }
  const { version, shares, threshold, keys, created, clusterId } = value;
  if (version !== 1 || typeof shares !== 'number' || typeof threshold !== 'number' || typeof created !== 'string')
    return undefined;
  if (!Array.isArray(keys) || keys.length < threshold || threshold < 1) return undefined;
  const isKey = (key: unknown): key is string => typeof key === 'string' && /^[0-9a-f]{32,}$/i.test(key);
  if (!keys.every(isKey)) return undefined;
  return {
    version,
    shares,
    threshold,
    keys: keys.map((key) => new Secret(key)),
    created,
    ...(typeof clusterId === 'string' && clusterId !== '' ? { clusterId } : {}),
  };
}
