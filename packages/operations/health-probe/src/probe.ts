import { abortReason, DevstackError, isDevstackError } from '@devstack-core/errors';
import { Unhealthy, type Check, type CheckContext } from './check.ts';
import { checks } from './checks/index.ts';
import { HealthProbeErrorCode } from './errors.ts';
import type { Protocol, ProbeOptions, ProbeResult } from './options.ts';
import { sniff } from './sniff.ts';

/**
 * Asks a service by its own protocol whether it serves. A service that does not is a result, with what was tried, what answered
 * and what to do next. Throws only `PROBE_PROTOCOL_UNKNOWN`, `PROBE_CREDENTIAL_MISSING`, and `INTERRUPTED` when the signal is aborted.
 */
export async function probe(options: ProbeOptions): Promise<ProbeResult> {
  const protocol = options.protocol ?? options.service ?? '';
  const check = checkOf(protocol);
  const { service = protocol, timeoutMs = 5000, signal } = options;
  throwIfAborted(signal, service);
  const timeout = new AbortController();
  const timer = setTimeout(() => {
    timeout.abort(timedOut(options, timeoutMs));
  }, timeoutMs);
  const context: CheckContext = {
    ...options,
    timeoutMs,
    signal: signal === undefined ? timeout.signal : AbortSignal.any([signal, timeout.signal]),
  };
  const start = performance.now();
  const common = (): Pick<ProbeResult, 'service' | 'protocol' | 'checked' | 'latencyMs'> => ({
    service,
    protocol,
    checked: check.describe(context),
    latencyMs: Math.round((performance.now() - start) * 10) / 10,
  });
  try {
    const details = await check.run(context);
    return { ...common(), healthy: true, details };
  } catch (error) {
    throwIfAborted(signal, service);
    if (isDevstackError(error, HealthProbeErrorCode.credentialMissing)) throw error;
    const base = { ...common(), healthy: false, tried: triedOf(options, protocol) } as const;
    if (error instanceof Unhealthy) {
      const { details = {}, ...finding } = error.finding;
      return { ...base, ...finding, details };
    }
    const known = timeout.signal.aborted ? timedOut(options, timeoutMs) : asKnown(error, options);
    return {
      ...base,
      code: known.code,
      reason: known.message,
      ...(await answerTo(known, options)),
      nextStep: known.hint ?? "Look into the service's log.",
      details: {},
    };
  } finally {
    clearTimeout(timer);
  }
}

/** Probes all at once; the results in the order of the options. */
export async function probeAll(probes: readonly ProbeOptions[]): Promise<readonly ProbeResult[]> {
  return Promise.all(probes.map(async (one) => probe(one)));
}

function checkOf(protocol: string): Check {
  if (Object.hasOwn(checks, protocol)) return checks[protocol as Protocol];
  throw new DevstackError({
    code: HealthProbeErrorCode.protocolUnknown,
    message: `There is no probe for the protocol "${protocol}".`,
    hint: `Use one of: ${Object.keys(checks).join(', ')}.`,
    details: { protocol, known: Object.keys(checks) },
  });
}

function throwIfAborted(signal: AbortSignal | undefined, service: string): void {
  const reason = abortReason(signal, `The probe of ${service}`);
  if (reason !== undefined) throw reason;
}

function triedOf({ host, port, credentials }: ProbeOptions, protocol: string): string {
  const username = credentials?.['username']?.reveal();
  return `${protocol}${username === undefined ? '' : ` as "${username}"`} at ${host}:${String(port)}`;
}

function timedOut({ host, port }: ProbeOptions, timeoutMs: number): DevstackError {
  return new DevstackError({
    code: 'CONNECTION_TIMED_OUT',
    message: `${host}:${String(port)} gave no complete answer within ${String(timeoutMs)} ms.`,
    hint: 'Check whether the service is overloaded, still starting, or another program on this port.',
  });
}

const systemReasons: Readonly<Record<string, readonly [code: string, reason: string, hint: string]>> = {
  ECONNREFUSED: [
    'CONNECTION_REFUSED',
    'cannot be reached: ECONNREFUSED.',
    'Check that the service runs and listens on this port.',
  ],
  EHOSTUNREACH: [
    'CONNECTION_REFUSED',
    'cannot be reached: EHOSTUNREACH.',
    'Check that the service runs, and the network to it.',
  ],
  ENOTFOUND: [
    'HOST_UNKNOWN',
    'cannot be found: the host name has no address.',
    'Check the host name and the name server.',
  ],
  EAI_AGAIN: [
    'HOST_UNKNOWN',
    'cannot be found: the name server did not answer.',
    'Check the host name and the name server.',
  ],
};

// Errors of HTTP and TCP, which come from Node itself. Their text is Node's, and no secret was given to it.
function asKnown(error: unknown, { host, port }: ProbeOptions): DevstackError {
  if (isDevstackError(error)) return error;
  const { code = '', message } = error as NodeJS.ErrnoException;
  const [known, reason, hint] = systemReasons[code] ?? [
    'CONNECTION_LOST',
    `did not answer as expected: ${code === '' ? message : code}.`,
    'Check the port: another service seems to answer there.',
  ];
  return new DevstackError({ code: known, message: `${host}:${String(port)} ${reason}`, hint });
}

async function answerTo(
  { code, message }: DevstackError,
  { host, port }: ProbeOptions,
): Promise<{ answered?: string }> {
  if (code === 'CONNECTION_REFUSED' || code === 'HOST_UNKNOWN') return { answered: 'nothing' };
  if (code === 'AUTHENTICATION_FAILED' || code === 'DATABASE_ERROR') return { answered: message };
  const answered = await sniff(host, port);
  return { answered: answered ?? 'nothing' };
}
