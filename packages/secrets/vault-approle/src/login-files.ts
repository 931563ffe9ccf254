import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ensurePrivateDirectory, readPrivateFile, removeDurable, writeFileDurable } from '@devstack-core/durable-files';
import { DevstackError, isDevstackError } from '@devstack-core/errors';
import { Secret } from '@devstack-core/redaction';
import { VaultAppRoleErrorCode } from './errors.ts';

/** What is public about a secret_id that was issued for a consumer. It lies beside the files and holds nothing derived from them. */
export interface IssuedRecord {
  /** Missing while a replacement is on its way. */
  readonly accessor?: string;
  readonly expiresAt?: string;
  /** Older ones that a container may still hold: they go when the newer one is delivered. */
  readonly superseded: readonly { readonly accessor: string; readonly at: string }[];
}

/** A file of a login, as it was found. */
export type FoundFile =
  | { readonly state: 'there'; readonly value: Secret }
  | { readonly state: 'missing' | 'empty' | 'too-open' | 'unreadable' };

/** The folder of one consumer. */
export interface LoginFiles {
  readonly roleId: FoundFile;
  readonly secretId: FoundFile;
  readonly issued: IssuedRecord;
}

const recordName = 'issued.json';

/** Everything in a consumer's folder; what is wrong with a file is a value. */
export async function readLoginFiles(directory: string): Promise<LoginFiles> {
  const [roleId, secretId, issued] = await Promise.all([
    found(join(directory, 'role-id')),
    found(join(directory, 'secret-id')),
    readRecord(directory),
  ]);
  return { roleId, secretId, issued };
}

/** One word from a private file. Throws `APPROLE_FILE_MISSING`, `APPROLE_FILE_EMPTY`, and what `readPrivateFile` throws. */
export async function readWord(path: string): Promise<Secret> {
  const file = await found(path);
  switch (file.state) {
    case 'there':
      return file.value;
    case 'missing':
      throw new DevstackError({
        code: VaultAppRoleErrorCode.fileMissing,
        message: `${path} is not there, so there is nothing to log in to Vault with.`,
        hint: 'Run the bootstrap: it writes the files of every login that has none.',
        details: { path },
      });
    case 'empty':
      throw new DevstackError({
        code: VaultAppRoleErrorCode.fileEmpty,
        message: `${path} is empty.`,
        hint: 'Run the bootstrap: it writes it anew.',
        details: { path },
      });
    default:
      return readPrivateFile(path);
  }
}

export async function writeLoginFile(directory: string, name: 'role-id' | 'secret-id', value: Secret): Promise<void> {
  await ensurePrivateDirectory(directory);
  await writeFileDurable(join(directory, name), new Secret(`${value.reveal()}\n`));
}

export async function writeRecord(directory: string, record: IssuedRecord): Promise<void> {
  await ensurePrivateDirectory(directory);
  await writeFileDurable(join(directory, recordName), `${JSON.stringify(record, null, 2)}\n`);
}

/** Removes the files of a login; the folder stays where it holds anything else. */
export async function removeLoginFiles(directory: string): Promise<boolean> {
  const { roleId, secretId } = await readLoginFiles(directory);
  for (const name of ['secret-id', 'role-id', recordName])
    await removeDurable(join(directory, name)).catch(ignoreMissing);
  return roleId.state !== 'missing' || secretId.state !== 'missing';
}

async function readRecord(directory: string): Promise<IssuedRecord> {
  try {
    const { accessor, expiresAt, superseded } = JSON.parse(
      await readFile(join(directory, recordName), 'utf8'),
    ) as Partial<IssuedRecord>;
    return {
      ...(typeof accessor === 'string' ? { accessor } : {}),
      ...(typeof expiresAt === 'string' ? { expiresAt } : {}),
      superseded: Array.isArray(superseded) ? superseded : [],
    };
  } catch {
    // It only saves questions: without it everything is asked of Vault.
    return { superseded: [] };
  }
}

async function found(path: string): Promise<FoundFile> {
  try {
    const text = (await readPrivateFile(path)).reveal().trim();
    return text === '' ? { state: 'empty' } : { state: 'there', value: new Secret(text) };
  } catch (error) {
    if (isDevstackError(error, 'FILE_MISSING') || isDevstackError(error, 'NOT_A_DIRECTORY'))
      return { state: 'missing' };
    return { state: isDevstackError(error, 'FILE_TOO_OPEN') ? 'too-open' : 'unreadable' };
  }
}

function ignoreMissing(error: unknown): void {
  if (!isDevstackError(error, 'FILE_MISSING')) throw error;
}
