import { constants } from 'node:fs';
import { open, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { DevstackError, isDevstackError } from '@devstack-core/errors';
import { secret, type Secret } from '@devstack-core/redaction';
import { createVaultClient, type VaultClient } from '@devstack-core/vault-client';
import { ServiceInitErrorCode } from './errors.ts';
import { parseClients } from './secret-fields.ts';
import type { SecretVersion, ServiceInitContext } from './service-init.ts';
import { caFile } from './tls.ts';

/** How a service proves to Vault who it is. `token` is the fallback: a short-lived token that the operator delivered. */
export type LoginMethod = 'approle' | 'token';

export interface VaultLoginOptions {
  readonly address: string;
  /** Folder with `role-id` and `secret-id`, or with `token`. */
  readonly directory: string;
  readonly service: string;
  readonly role: string;
  readonly method: LoginMethod;
  /** Vault may be starting or sealed: for how long to try. Default 120 000. */
  readonly deadlineMs?: number;
  readonly progress?: (line: string) => void;
  readonly signal?: AbortSignal;
  /** What else is to be done with the login, before its token is revoked: a certificate is asked for. */
  readonly withSession?: ((client: VaultClient) => Promise<void>) | undefined;
  /** Makes the client for an address; for tests. */
  readonly connect?: (address: string) => VaultClient;
}

/** What a service needs to start, as read with one login. */
export type ServiceCredentials = Pick<ServiceInitContext, 'secrets' | 'clients' | 'versions'>;

/**
 * Logs in, reads the service's secret and its clients, and revokes the token, also when reading fails. Waits for a Vault
 * that starts or is sealed. Throws `APPROLE_FILE_*`, `VAULT_LOGIN_REFUSED`, `VAULT_WAIT_TIMED_OUT`, `SECRET_MISSING`.
 */
export async function readServiceCredentials(options: VaultLoginOptions): Promise<ServiceCredentials> {
  const files = await readLoginFiles(options);
  const client = options.connect?.(options.address) ?? (await connect(options));
  const session = await untilReady(options, () => logIn(options, client, files));
  try {
    const [own, clients] = await untilReady(options, () =>
      Promise.all([session.kvRead(`services/${options.role}`), session.kvRead(`services/${options.role}/clients`)]),
    );
    if (own === undefined) {
      throw new DevstackError({
        code: ServiceInitErrorCode.secretMissing,
        message: `Vault has no secret at secret/services/${options.role}.`,
        hint: 'Run "devstack vault bootstrap": it generates the secrets that are missing.',
        details: { role: options.role },
      });
    }
    const { withSession } = options;
    if (withSession !== undefined) await untilReady(options, () => withSession(session));
    return {
      secrets: own.data,
      clients: parseClients(options.role, clients?.data ?? {}),
      versions: { secrets: versionOf(own), clients: versionOf(clients) },
    };
  } catch (error) {
    throw isDevstackError(error, 'VAULT_PERMISSION_DENIED')
      ? refused(options, 'it may not read its own secret')
      : error;
  } finally {
    // The token dies by itself within minutes; a Vault that went away must not stop a service that has its secret.
    await session.revokeSelf().catch(() => undefined);
  }
}

interface LoginFiles {
  readonly roleId?: string;
  readonly credential: Secret;
}

async function readLoginFiles(options: VaultLoginOptions): Promise<LoginFiles> {
  if (options.method === 'token') return { credential: secret(await readLoginFile(options, 'token')) };
  return {
    roleId: await readLoginFile(options, 'role-id'),
    credential: secret(await readLoginFile(options, 'secret-id')),
  };
}

async function readLoginFile(options: VaultLoginOptions, name: string): Promise<string> {
  const path = join(options.directory, name);
  const deliver = `Run "devstack up ${options.service}": it delivers the file again.`;
  const fail = (code: string, why: string, hint: string = deliver): DevstackError =>
    new DevstackError({
      code,
      message: `The ${name} file of ${options.service} (${path}) ${why}.`,
      hint,
      details: { file: name, service: options.service },
    });
  let text: string;
  try {
    await using handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
    text = (await handle.readFile('utf8')).trim();
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT') throw fail(ServiceInitErrorCode.approleFileMissing, 'is missing');
    const owner = await stat(path).then(
      (found) => ` (it belongs to uid ${String(found.uid)}, this is uid ${String(process.getuid?.() ?? -1)})`,
      () => '',
    );
    throw fail(ServiceInitErrorCode.approleFileUnreadable, `cannot be read: ${code ?? 'unknown error'}${owner}`);
  }
  if (text === '') throw fail(ServiceInitErrorCode.approleFileEmpty, 'is empty');
  if (/\s/.test(text)) throw fail(ServiceInitErrorCode.approleFileUnreadable, 'holds more than one word');
  return text;
}

async function logIn(options: VaultLoginOptions, client: VaultClient, files: LoginFiles): Promise<VaultClient> {
  try {
    if (files.roleId === undefined) return client.withToken(files.credential);
    const login = await client.loginAppRole({ roleId: files.roleId, secretId: files.credential });
    return client.withToken(login.token);
  } catch (error) {
    if (isDevstackError(error, 'VAULT_BAD_CREDENTIALS') || isDevstackError(error, 'VAULT_PERMISSION_DENIED')) {
      throw refused(options, 'the role-id and secret-id are not a pair that is valid now, from this address');
    }
    throw error;
  }
}

function refused(options: VaultLoginOptions, why: string): DevstackError {
  return new DevstackError({
    code: ServiceInitErrorCode.loginRefused,
    message: `Vault refused the login of ${options.service} (role ${options.role}, ${options.method}): ${why}.`,
    hint:
      options.method === 'token'
        ? `The delivered token has expired or is another role's. Run "devstack up ${options.service}".`
        : `It may have expired, be another service's, or be used from a wrong network. "devstack vault approle-status" says which; "devstack vault rotate-secret-ids ${options.service}" makes a new one.`,
    details: { service: options.service, role: options.role, method: options.method },
  });
}

const waitingFor: Readonly<Record<string, string>> = {
  VAULT_SEALED: 'Vault is sealed',
  VAULT_UNREACHABLE: 'Vault does not answer',
  VAULT_UNINITIALIZED: 'Vault is not initialised',
};

// Just after it was unsealed, Vault answers but does not serve yet.
const notServing = new Set<unknown>(['not-active', 'preparing']);

function stateOf(error: DevstackError): string | undefined {
  return waitingFor[error.code] ?? (notServing.has(error.details['reason']) ? 'Vault is not active yet' : undefined);
}

// A Vault that starts, is sealed or changes its leader is waited for; every other failure is final.
async function untilReady<T>(options: VaultLoginOptions, work: () => Promise<T>): Promise<T> {
  const deadlineMs = options.deadlineMs ?? 120_000;
  const begin = performance.now();
  let said = '';
  let saidAt = 0;
  for (let pauseMs = 100; ; pauseMs = Math.min(pauseMs * 1.5, 1000)) {
    try {
      return await work();
    } catch (error) {
      const state = isDevstackError(error) ? stateOf(error) : undefined;
      if (state === undefined) throw error;
      const elapsedMs = performance.now() - begin;
      if (elapsedMs >= deadlineMs) {
        throw new DevstackError({
          code: ServiceInitErrorCode.vaultWaitTimedOut,
          message: `${state} at ${options.address}, after ${String(Math.round(elapsedMs / 1000))} s of waiting.`,
          hint: 'Run "devstack up": it starts and unseals Vault. "devstack vault status" says what is wrong.',
          details: { address: options.address, waitedMs: Math.round(elapsedMs) },
        });
      }
      if (state !== said || elapsedMs - saidAt > 10_000) {
        options.progress?.(
          `waiting: ${state} at ${options.address} (${String(Math.round(elapsedMs / 1000))} s of ${String(Math.round(deadlineMs / 1000))} s)`,
        );
        said = state;
        saidAt = elapsedMs;
      }
      options.signal?.throwIfAborted();
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  }
}

async function connect({ address, directory }: VaultLoginOptions): Promise<VaultClient> {
  const ca = address.startsWith('https:')
    ? await readFile(caFile(directory), 'utf8').catch(() => undefined)
    : undefined;
  // Waiting is done here, where it can be told to people.
  return createVaultClient({
    address,
    timeoutMs: 10_000,
    retry: { deadlineMs: 0 },
    ...(ca === undefined ? {} : { ca }),
  });
}

function versionOf(read: { readonly version: number; readonly createdTime: string } | undefined): SecretVersion {
  return read === undefined
    ? { version: 0, createdTime: '' }
    : { version: read.version, createdTime: read.createdTime };
}
