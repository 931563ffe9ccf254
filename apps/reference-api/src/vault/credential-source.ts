import { setTimeout as delay } from 'node:timers/promises';
import { DevstackError, isDevstackError } from '@devstack-core/errors';
import type { SecretRegistry } from '@devstack-core/redaction';
import { loginWithFiles, type VaultSession } from '@devstack-core/vault-approle';
import { createVaultClient, type VaultClient } from '@devstack-core/vault-client';
import { ReferenceApiErrorCode } from '../errors.ts';
import type { Logger } from '../logger.ts';
import type { Settings } from '../settings.ts';
import { readRoots } from '../tls/trusted-roots.ts';
import { parseCredentials, type Credentials } from './credentials.ts';

/** Where the logins of the backends come from. */
export interface CredentialSource {
  /** The last ones that were read. Throws `CREDENTIALS_PENDING` before the first login to Vault. */
  current(): Credentials;
  /** Reads them again, at most once a second: after a backend has refused them, as they may have been rotated. */
  refresh(): Promise<Credentials>;
  /** Throws where the token of this service is not valid any more. */
  assertLoggedIn(): void;
}

/** What `VaultCredentials` needs. */
export interface VaultCredentialsOptions {
  readonly settings: Settings['vault'];
  /** Asked where Vault's address is https. */
  readonly rootsFile: string;
  readonly registry: SecretRegistry;
  readonly logger: Logger;
  readonly signal: AbortSignal;
}

/** A service that lives long keeps its token: it is renewed in the background, and replaced by a new login when it cannot live longer. */
export class VaultCredentials implements CredentialSource, AsyncDisposable {
  readonly #options: VaultCredentialsOptions;
  readonly #client: VaultClient;
  #session: VaultSession | undefined;
  #credentials: Credentials | undefined;
  #reading: { readonly at: number; readonly result: Promise<Credentials> } | undefined;

  constructor(options: VaultCredentialsOptions) {
    this.#options = options;
    this.#client = createVaultClient({
      address: options.settings.address,
      ca: () => readRoots(options.rootsFile),
      signal: options.signal,
      retry: { deadlineMs: 5000 },
      userAgent: 'devstack-reference-api',
    });
  }

  /**
   * Logs in and reads the credentials. Goes on for as long as Vault is down or sealed; throws for what waiting cannot mend (files missing
   * or refused, a secret that is not there).
   */
  async start(): Promise<void> {
    const { settings, logger, signal } = this.#options;
    for (let waitMs = 500; ; waitMs = Math.min(10_000, waitMs * 2)) {
      try {
        this.#session ??= await loginWithFiles({
          client: this.#client,
          directory: settings.directory,
          method: settings.method,
        });
        await this.refresh();
        break;
      } catch (error) {
        if (signal.aborted || !isDevstackError(error) || !curedByTime.has(error.code)) throw error;
        logger.warn({ code: error.code, retryInMs: waitMs }, `Vault does not serve yet: ${error.message}`);
        this.#reading = undefined;
        await delay(waitMs, undefined, { signal });
      }
    }
    logger.info(
      { role: settings.role, method: settings.method, expiresAt: this.#session.expiresAt.toISOString() },
      'logged in to Vault',
    );
    this.#session.startRenewal({
      onEvent: (event) => {
        this.#remember();
        if (event.type === 'failed')
          logger.warn({ code: event.code, retryInMs: event.retryInMs }, 'the Vault token could not be renewed');
        else
          logger.info(
            { leaseDurationS: event.leaseDurationS },
            event.type === 'renewed' ? 'renewed the Vault token' : 'logged in to Vault again',
          );
      },
    });
  }

  /** Vault under the token of the moment. Throws `CREDENTIALS_PENDING` before the first login. */
  client(): VaultClient {
    if (this.#session !== undefined) return this.#session.client;
    throw notLoggedIn();
  }

  get expiresAt(): Date | undefined {
    return this.#session?.expiresAt;
  }

  current(): Credentials {
    if (this.#credentials !== undefined) return this.#credentials;
    throw notLoggedIn();
  }

  refresh(): Promise<Credentials> {
    const now = performance.now();
    if (this.#reading === undefined || now - this.#reading.at > 1000) this.#reading = { at: now, result: this.#read() };
    return this.#reading.result;
  }

  assertLoggedIn(): void {
    this.current();
    if (this.#session !== undefined && this.#session.expiresAt.getTime() > Date.now()) return;
    throw new DevstackError({
      code: ReferenceApiErrorCode.credentialsPending,
      message: 'The Vault token has expired, and there is no new one yet.',
      hint: 'Check that Vault is unsealed, and that the secret_id of this service is valid.',
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#session?.revoke();
    this.#client.close();
  }

  async #read(): Promise<Credentials> {
    const path = `services/${this.#options.settings.role}`;
    this.#remember();
    const found = await this.#session?.client.kvRead(path);
    if (found === undefined) {
      throw new DevstackError({
        code: ReferenceApiErrorCode.credentialsIncomplete,
        message: `There is no secret at ${path}.`,
        hint: 'Run the bootstrap: it makes one.',
      });
    }
    for (const [name, value] of Object.entries(found.data)) {
      if (name.endsWith('password')) this.#options.registry.add(value, `${path}/${name}`);
    }
    this.#credentials = parseCredentials(found.data);
    return this.#credentials;
  }

  #remember(): void {
    if (this.#session !== undefined) this.#options.registry.add(this.#session.token, 'vault token');
  }
}

function notLoggedIn(): DevstackError {
  return new DevstackError({
    code: ReferenceApiErrorCode.credentialsPending,
    message: 'There are no credentials yet: this service has not logged in to Vault.',
    hint: 'Check that Vault is unsealed.',
  });
}

const curedByTime = new Set(['VAULT_UNREACHABLE', 'VAULT_SEALED', 'VAULT_UNINITIALIZED']);
