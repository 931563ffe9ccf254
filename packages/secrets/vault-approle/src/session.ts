import { join } from 'node:path';
import { isDevstackError } from '@devstack-core/errors';
import type { Secret } from '@devstack-core/redaction';
import type { IssuedToken, VaultClient } from '@devstack-core/vault-client';
import { readWord } from './login-files.ts';

/** What happens to a session that renews itself. */
export type RenewalEvent =
  | { readonly type: 'renewed' | 'logged-in'; readonly leaseDurationS: number }
  | { readonly type: 'failed'; readonly code: string; readonly retryInMs: number };

/** How to keep a session alive. */
export interface RenewalOptions {
  readonly onEvent?: (event: RenewalEvent) => void;
}

/** A login to Vault. `await using` revokes its token. */
export interface VaultSession extends AsyncDisposable {
  /** The one of the moment: a session that logs in anew has another. */
  readonly token: Secret;
  /** A client under that token. Ask for it each time: it changes with the token. */
  readonly client: VaultClient;
  readonly policies: readonly string[];
  readonly expiresAt: Date;
  /** Renews at two thirds of the lifetime, and logs in anew from the files when the token cannot live longer. Does not keep a process alive. */
  startRenewal(options?: RenewalOptions): void;
  /** Ends renewal and the token (not one that was delivered as a file). Never throws: a token that could not be revoked dies within its five minutes. */
  revoke(): Promise<void>;
}

/** How to log in. */
export interface LoginOptions {
  /** Needs no token. */
  readonly client: VaultClient;
  /** Holds `role-id` and `secret-id`. */
  readonly directory: string;
  /** `token`: uses the file of that name instead, which the root-token fallback puts there. `approle` unless given. */
  readonly method?: 'approle' | 'token';
}

const retryMs = { first: 500, most: 10_000 };

/**
 * Logs in with the files of a directory. When Vault refuses and the files have changed meanwhile, as in a rotation, it tries the new ones.
 * Throws `APPROLE_FILE_MISSING`, `APPROLE_FILE_EMPTY`, `FILE_TOO_OPEN`, `VAULT_BAD_CREDENTIALS` and what else the client throws.
 */
export async function loginWithFiles(options: LoginOptions): Promise<VaultSession> {
  return new Session(options, await login(options));
}

class Session implements VaultSession {
  readonly #options: LoginOptions;
  #issued: IssuedToken;
  #client: VaultClient;
  #expiresAt = new Date(0);
  #timer: NodeJS.Timeout | undefined;
  #ended = false;

  constructor(options: LoginOptions, issued: IssuedToken) {
    this.#options = options;
    this.#issued = issued;
    this.#client = options.client.withToken(issued.token);
    this.#extend(issued.leaseDurationS);
  }

  get token(): Secret {
    return this.#issued.token;
  }

  get client(): VaultClient {
    return this.#client;
  }

  get policies(): readonly string[] {
    return this.#issued.policies;
  }

  get expiresAt(): Date {
    return this.#expiresAt;
  }

  startRenewal(options: RenewalOptions = {}): void {
    if (this.#timer !== undefined || this.#ended) return;
    this.#schedule(this.#dueInMs(), options, 0);
  }

  async revoke(): Promise<void> {
    clearTimeout(this.#timer);
    if (this.#ended) return;
    this.#ended = true;
    // A delivered token is all its owner has until the next delivery.
    if (this.#options.method !== 'token') await endToken(this.#client);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.revoke();
  }

  #schedule(delayMs: number, options: RenewalOptions, failures: number): void {
    this.#timer = setTimeout(() => void this.#refresh(options, failures), delayMs);
    this.#timer.unref();
  }

  async #refresh(options: RenewalOptions, failures: number): Promise<void> {
    try {
      const type = await this.#renewOrLogin();
      // Ended while it asked: the new token goes the way of the old one.
      if (this.#ended) {
        if (type === 'logged-in') await endToken(this.#client);
        return;
      }
      options.onEvent?.({ type, leaseDurationS: this.#issued.leaseDurationS });
      this.#schedule(this.#dueInMs(), options, 0);
    } catch (error) {
      const retryInMs = Math.min(retryMs.most, retryMs.first * 2 ** failures);
      options.onEvent?.({ type: 'failed', code: isDevstackError(error) ? error.code : 'UNKNOWN', retryInMs });
      if (!this.#ended) this.#schedule(retryInMs, options, failures + 1);
    }
  }

  async #renewOrLogin(): Promise<'renewed' | 'logged-in'> {
    const full = this.#issued.leaseDurationS;
    const renewed = await this.#client.renewSelf().catch((error: unknown) => {
      // The token is gone (expired, revoked, Vault restored): only a login helps. While it is just going, Vault has other words for it.
      if (isDevstackError(error, 'VAULT_PERMISSION_DENIED') || isDevstackError(error, 'VAULT_REQUEST_FAILED'))
        return undefined;
      throw error;
    });
    // A renewal that gives less than half has reached the maximum lifetime of the token.
    if (renewed !== undefined && renewed.leaseDurationS > full / 2) {
      this.#extend(renewed.leaseDurationS);
      return 'renewed';
    }
    // The old token is left to end by itself: requests under it may still be on their way.
    this.#issued = await login(this.#options);
    this.#client = this.#options.client.withToken(this.#issued.token);
    this.#extend(this.#issued.leaseDurationS);
    return 'logged-in';
  }

  #extend(leaseDurationS: number): void {
    this.#expiresAt = new Date(Date.now() + leaseDurationS * 1000);
  }

  #dueInMs(): number {
    return Math.max(100, ((this.#expiresAt.getTime() - Date.now()) * 2) / 3);
  }
}

async function login(options: LoginOptions): Promise<IssuedToken> {
  if (options.method === 'token') return adopt(options);
  const files = await loginFiles(options.directory);
  try {
    return await options.client.loginAppRole(files);
  } catch (error) {
    if (!isDevstackError(error, 'VAULT_BAD_CREDENTIALS')) throw error;
    const again = await loginFiles(options.directory);
    if (again.secretId.reveal() === files.secretId.reveal() && again.roleId.reveal() === files.roleId.reveal())
      throw error;
    return options.client.loginAppRole(again);
  }
}

async function loginFiles(directory: string): Promise<{ readonly roleId: Secret; readonly secretId: Secret }> {
  const [roleId, secretId] = await Promise.all([
    readWord(join(directory, 'role-id')),
    readWord(join(directory, 'secret-id')),
  ]);
  return { roleId, secretId };
}

async function adopt(options: LoginOptions): Promise<IssuedToken> {
  const token = await readWord(join(options.directory, 'token'));
  const info = await options.client.withToken(token).lookupSelf();
  return {
    token,
    accessor: info.accessor,
    policies: info.policies,
    leaseDurationS: info.ttlS,
    renewable: info.renewable,
  };
}

async function endToken(client: VaultClient): Promise<void> {
  try {
    await client.with({ retry: { deadlineMs: 1000 }, timeoutMs: 2000 }).revokeSelf();
  } catch (error) {
    if (!isDevstackError(error)) throw error;
  }
}
