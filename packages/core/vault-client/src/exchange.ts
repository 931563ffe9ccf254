import { setTimeout as sleep } from 'node:timers/promises';
import { abortReason, DevstackError } from '@devstack-core/errors';
import { isSecret, type Secret } from '@devstack-core/redaction';
import { VaultErrorCode } from './errors.ts';
import { knownReason } from './known-answers.ts';
import { withholdSecrets } from './withhold.ts';
import { WireFailure, type Transport, type WireAnswer } from './transport.ts';

/** One call to Vault. */
export interface Call {
  readonly method: 'GET' | 'LIST' | 'POST' | 'PUT' | 'DELETE';
  /** Under `/v1/`, without a leading slash. */
  readonly path: string;
  /** `Secret` values at any depth are revealed on the wire only. */
  readonly json?: unknown;
  readonly body?: Uint8Array;
  readonly binary?: boolean;
  /** Whether it may be sent again when it is unknown if Vault carried it out. Default: all but POST. */
  readonly repeatable?: boolean;
  /** Sealed is an answer, not an obstacle (`sys/unseal`, `sys/init`). */
  readonly worksSealed?: boolean;
  readonly timeoutMs?: number;
  readonly deadlineMs?: number;
}

/** Why a call is waiting before it is tried again. */
export interface RetryEvent {
  readonly reason: 'sealed' | 'standby' | 'unreachable' | 'busy';
  readonly path: string;
  readonly attempt: number;
  readonly elapsedMs: number;
}

export interface ExchangeOptions {
  readonly transport: Transport;
  readonly address: string;
  readonly token: Secret | undefined;
  readonly timeoutMs: number;
  readonly deadlineMs: number;
  readonly signal: AbortSignal | undefined;
  readonly onRetry: ((event: RetryEvent) => void) | undefined;
}

/** Sends a call until it is answered or the deadline has passed, and turns every failure into a `DevstackError` that holds no secret. */
export async function exchange(options: ExchangeOptions, call: Call): Promise<WireAnswer> {
  const started = performance.now();
  const deadlineMs = call.deadlineMs ?? options.deadlineMs;
  const timeoutMs = call.timeoutMs ?? options.timeoutMs;
  const revealed: string[] = [];
  const json = reveal(call.json, revealed);
  const token = options.token?.reveal();
  if (token !== undefined) {
    refuseUnsendable(token, call.path);
    revealed.push(token);
  }

  for (let attempt = 1; ; attempt++) {
    const aborted = abortReason(options.signal, `The call to Vault (${call.path})`);
    if (aborted !== undefined) throw aborted;
    const verdict = await once(options, call, { json, token, timeoutMs, revealed });
    if (verdict.kind === 'answer') return verdict.answer;
    const elapsedMs = performance.now() - started;
    const pauseMs = Math.min(25 * 2 ** Math.min(attempt, 5), 500) * (0.75 + Math.random() / 2);
    if (verdict.retry === undefined || elapsedMs + pauseMs > deadlineMs) throw verdict.error(elapsedMs);
    options.onRetry?.({ reason: verdict.retry, path: call.path, attempt, elapsedMs: Math.round(elapsedMs) });
    await sleep(pauseMs, undefined, { signal: options.signal }).catch(() => undefined);
  }
}

type Verdict =
  | { readonly kind: 'answer'; readonly answer: WireAnswer }
  | {
      readonly kind: 'failure';
      readonly retry: RetryEvent['reason'] | undefined;
      readonly error: (elapsedMs: number) => DevstackError;
    };

interface Prepared {
  readonly json: unknown;
  readonly token: string | undefined;
  readonly timeoutMs: number;
  readonly revealed: readonly string[];
}

async function once(options: ExchangeOptions, call: Call, prepared: Prepared): Promise<Verdict> {
  const repeatable = call.repeatable ?? call.method !== 'POST';
  let answer: WireAnswer;
  try {
    answer = await options.transport.send(
      {
        method: call.method,
        path: `/${call.path}`,
        timeoutMs: prepared.timeoutMs,
        signal: options.signal,
        ...(prepared.json === undefined ? {} : { json: prepared.json }),
        ...(call.body === undefined ? {} : { body: call.body }),
        ...(call.binary === undefined ? {} : { binary: call.binary }),
      },
      prepared.token,
    );
  } catch (error) {
    const failure = error instanceof WireFailure ? error : new WireFailure('TRANSPORT', true);
    const aborted = abortReason(options.signal, `The call to Vault (${call.path})`);
    if (aborted !== undefined) throw aborted;
    const retry = !isPermanent(failure.reason) && (failure.unsent || repeatable) ? 'unreachable' : undefined;
    return { kind: 'failure', retry, error: (elapsedMs) => unreachable(options.address, call, failure, elapsedMs) };
  }
  if ((answer.status === 200 || answer.status === 204) && !answer.malformed) return { kind: 'answer', answer };
  return judge(options, call, answer, prepared.revealed);
}

async function judge(
  options: ExchangeOptions,
  call: Call,
  answer: WireAnswer,
  revealed: readonly string[],
): Promise<Verdict> {
  const { status } = answer;
  const raw = errorTexts(answer.body);
  const reason = knownReason(call.path, raw);
  const errors = raw.map((text) => withholdSecrets(text, revealed));
  const path = call.path.replace(/\?.*/s, '');
  const what = `${call.method} ${path}`;
  const said = errors.length === 0 ? '.' : `: ${errors.join('; ').trim()}`;
  const fail = (code: string, message: string, hint: string, retry?: RetryEvent['reason']): Verdict => ({
    kind: 'failure',
    retry,
    error: (elapsedMs) => {
      const waited = retry === undefined ? {} : { waitedMs: Math.round(elapsedMs) };
      return new DevstackError({
        code,
        message,
        hint,
        details: { status, path, method: call.method, errors, ...(reason === undefined ? {} : { reason }), ...waited },
      });
    },
  });

  if (status === 503 && call.worksSealed !== true && !answer.malformed) {
    return (await isInitialized(options)) === false
      ? fail(VaultErrorCode.uninitialized, `Vault at ${options.address} is not initialised.`, 'Initialise it first.')
      : fail(VaultErrorCode.sealed, `Vault at ${options.address} is sealed.`, 'Unseal it with its keys.', 'sealed');
  }
  if (answer.malformed) {
    return fail(
      VaultErrorCode.requestFailed,
      `What answers at ${options.address} to ${what} (status ${String(status)}) did not send JSON.`,
      'Check that the address is that of a Vault and not of a proxy.',
      status >= 502 && status <= 504 ? 'unreachable' : undefined,
    );
  }
  if (status === 429 || status === 472 || status === 473 || reason === 'not-active') {
    const hint = 'It is not the active node yet, or limits its requests: try again later.';
    return fail(
      VaultErrorCode.requestFailed,
      `Vault is not ready for ${what} (status ${String(status)})${said}`,
      hint,
      'standby',
    );
  }
  if (reason === 'preparing') {
    return fail(
      VaultErrorCode.requestFailed,
      `Vault is still preparing ${path}${said}`,
      'Try again in a moment.',
      'busy',
    );
  }
  if (reason === 'cas-mismatch') {
    const hint = 'Read it again and decide anew.';
    return fail(VaultErrorCode.casMismatch, `${path} was changed by someone else in the meantime.`, hint);
  }
  if (status === 403) {
    const hint =
      'Check that the token is still valid, that its policy names this path, and that it is used from its own network.';
    return fail(VaultErrorCode.permissionDenied, `Vault does not permit ${what} to this token.`, hint);
  }
  if (status === 404) {
    return fail(VaultErrorCode.notFound, `Vault has nothing at ${path}${said}`, 'Check the path and the mount.');
  }
  const hint = 'The text is what Vault itself says; its log may say more.';
  return fail(VaultErrorCode.requestFailed, `Vault answered ${what} with status ${String(status)}${said}`, hint);
}

async function isInitialized(options: ExchangeOptions): Promise<boolean | undefined> {
  try {
    const { body } = await options.transport.send(
      { method: 'GET', path: '/sys/seal-status', timeoutMs: options.timeoutMs, signal: options.signal },
      undefined,
    );
    const initialized = (body as { initialized?: unknown } | undefined)?.initialized;
    return typeof initialized === 'boolean' ? initialized : undefined;
  } catch {
    return undefined;
  }
}

function unreachable(address: string, call: Call, failure: WireFailure, elapsedMs: number): DevstackError {
  const certificate = isCertificateReason(failure.reason);
  return new DevstackError({
    code: VaultErrorCode.unreachable,
    message: `Vault does not answer at ${address} (${failure.reason}, ${call.method} ${call.path}, after ${(elapsedMs / 1000).toFixed(1)} s).`,
    hint: certificate
      ? 'Its certificate is not trusted: pass the authority that signed it as `ca`.'
      : failure.reason === 'NODE_VAULT_MISSING'
        ? 'The package node-vault cannot be loaded: install it again.'
        : 'Check that it is started and that the address is right.',
    // Whether Vault carried the call out is unknown unless it was never sent.
    details: {
      address,
      path: call.path,
      method: call.method,
      reason: failure.reason,
      outcome: failure.unsent ? 'not-sent' : 'unknown',
    },
  });
}

function isPermanent(reason: string): boolean {
  return reason === 'NODE_VAULT_MISSING' || isCertificateReason(reason);
}

function isCertificateReason(reason: string): boolean {
  return /CERT|SELF_SIGNED|UNABLE_TO_|ERR_TLS|ERR_SSL|EPROTO/.test(reason);
}

function errorTexts(body: unknown): readonly string[] {
  const errors = (body as { errors?: unknown } | null | undefined)?.errors;
  return Array.isArray(errors) ? errors.map(String) : [];
}

/** A token read from a file with its line end is the usual case; Node refuses such a header and Vault never sees it. */
function refuseUnsendable(token: string, path: string): void {
  if (/^[\x21-\x7e]+$/.test(token)) return;
  throw new DevstackError({
    code: VaultErrorCode.badCredentials,
    message: 'The Vault token is empty or holds a blank, a line end or another character that a token cannot have.',
    hint: 'Read it again, without what surrounds it.',
    details: { path },
  });
}

/** A copy with every `Secret` replaced by its value; all strings are noted, as Vault may repeat them in an error text. */
function reveal(value: unknown, revealed: string[]): unknown {
  if (isSecret(value)) {
    const inner = value.reveal();
    if (typeof inner === 'string') revealed.push(inner);
    return inner;
  }
  if (Array.isArray(value)) return value.map((item) => reveal(item, revealed));
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, reveal(item, revealed)]));
  }
  return value;
}
