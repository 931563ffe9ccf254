import { DevstackError } from '@devstack-core/errors';
import type { Secret } from '@devstack-core/redaction';
import { appRoleCalls, type AppRoleCalls } from './calls/approle.ts';
import { kvCalls, type KvCalls } from './calls/kv.ts';
import { mountCalls, type MountCalls } from './calls/mounts.ts';
import { pkiCalls, type PkiCalls } from './calls/pki.ts';
import type { Send } from './calls/send.ts';
import { sysCalls, type SysCalls } from './calls/sys.ts';
import { tokenCalls, type TokenCalls } from './calls/tokens.ts';
import { VaultErrorCode } from './errors.ts';
import { exchange, type Call, type RetryEvent } from './exchange.ts';
import { createTransport, type Transport } from './transport.ts';

export interface VaultClientOptions {
  /** `http://vault:8200`; nothing is read from the environment. */
  readonly address: string;
  readonly token?: Secret;
  readonly namespace?: string;
  /**
   * PEM of the authority that signed the server's certificate; without it Node's own are trusted. A function is asked at each request, for
   * a process that outlives an exchange of roots.
   */
  readonly ca?: string | (() => string);
  /** How long one attempt may take. Default 10 000. */
  readonly timeoutMs?: number;
  /** How long to go on while Vault is sealed, standby, restarting or not there. Default 30 000; 0 asks once. */
  readonly retry?: { readonly deadlineMs?: number };
  readonly userAgent?: string;
  readonly signal?: AbortSignal;
  /** Told before each wait, so that a person can be told what is being waited for. */
  readonly onRetry?: (event: RetryEvent) => void;
}

/** The calls to Vault (or OpenBao) that a stack needs. It holds no secret that `util.inspect` could show. */
export interface VaultClient extends SysCalls, KvCalls, TokenCalls, AppRoleCalls, MountCalls, PkiCalls, Disposable {
  readonly address: string;
  readonly hasToken: boolean;
  /** The same connections under another token. */
  withToken(token: Secret | undefined): VaultClient;
  /** The same connections under another deadline, signal or listener. */
  with(options: Pick<VaultClientOptions, 'timeoutMs' | 'retry' | 'signal' | 'onRetry'>): VaultClient;
  /** Any other call. `Secret` values in the body are revealed on the wire only; what comes back is plain, so wrap what is secret in it. */
  request<T = unknown>(
    method: Call['method'],
    path: string,
    body?: unknown,
    options?: Pick<Call, 'deadlineMs' | 'timeoutMs' | 'repeatable'>,
  ): Promise<T>;
  /** Ends idle connections; they do not keep a process alive. */
  close(): void;
}

/** A client for one Vault. Nothing is sent before the first call. Throws `VAULT_BAD_ADDRESS`. */
export function createVaultClient(options: VaultClientOptions): VaultClient {
  const origin = originOf(options.address);
  const transport = createTransport({
    origin,
    ca: options.ca,
    namespace: options.namespace,
    userAgent: options.userAgent ?? 'devstack-vault-client',
  });
  return clientOver(transport, origin, options);
}

function clientOver(transport: Transport, origin: string, options: VaultClientOptions): VaultClient {
  const send: Send = (call) =>
    exchange(
      {
        transport,
        address: origin,
        token: options.token,
        timeoutMs: options.timeoutMs ?? 10_000,
        deadlineMs: options.retry?.deadlineMs ?? 30_000,
        signal: options.signal,
        onRetry: options.onRetry,
      },
      call,
    );
  const close = (): void => {
    transport.close();
  };
  return {
    address: origin,
    hasToken: options.token !== undefined,
    ...sysCalls(send),
    ...kvCalls(send),
    ...tokenCalls(send),
    ...appRoleCalls(send),
    ...mountCalls(send),
    ...pkiCalls(send),
    withToken(token) {
      const { token: _replaced, ...rest } = options;
      return clientOver(transport, origin, token === undefined ? rest : { ...rest, token });
    },
    with: (changes) => clientOver(transport, origin, { ...options, ...changes }),
    async request<T>(
      method: Call['method'],
      path: string,
      body?: unknown,
      extra: Pick<Call, 'deadlineMs' | 'timeoutMs' | 'repeatable'> = {},
    ) {
      const call = { method, path: path.replace(/^\/?(v1\/)?/, ''), ...extra };
      return (await send(body === undefined ? call : { ...call, json: body })).body as T;
    },
    close,
    [Symbol.dispose]: close,
  };
}

function originOf(address: string): string {
  const url = URL.canParse(address) ? new URL(address) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.username !== '' || url.password !== '') {
    throw new DevstackError({
      code: VaultErrorCode.badAddress,
      message: 'The address of Vault must be an http or https URL without a user name.',
      hint: 'For example http://127.0.0.1:8200.',
    });
  }
  return url.origin;
}
