import { setTimeout as sleep } from 'node:timers/promises';
import { DevstackError } from '@devstack-core/errors';
import { CertificatesErrorCode } from './errors.ts';
import { probeTls, type ProbeTlsOptions, type TlsVerdict } from './probe-tls.ts';

export interface VerifyServedOptions extends ProbeTlsOptions {
  /** The serial to be presented, as `LeafCertificate.serial`. */
  readonly serial: string;
  /** How long the server may take to present it, as most reload after they were asked. Default 10,000; 0 looks once. */
  readonly deadlineMs?: number;
}

/**
 * Waits until a server presents this certificate to a client that verifies chain and name. Throws `CERTIFICATE_NOT_SERVED` with the last
 * verdict: at once where that will not change by waiting (an untrusted certificate of the right serial), else at the deadline.
 */
export async function verifyServed(options: VerifyServedOptions): Promise<TlsVerdict> {
  const { serial, deadlineMs = 10_000 } = options;
  const end = performance.now() + deadlineMs;
  for (;;) {
    const verdict = await probeTls(options);
    const isPresented = verdict.certificate?.serial === serial;
    if (isPresented && verdict.verdict === 'ok') return verdict;
    if (isPresented || performance.now() + 100 > end) throw notServed(options, verdict);
    await sleep(100);
  }
}

function notServed({ host, port, serial, servername = host }: VerifyServedOptions, verdict: TlsVerdict): DevstackError {
  const found = verdict.certificate?.serial;
  const what =
    found === undefined
      ? `${verdict.verdict} (${verdict.reason})`
      : found === serial
        ? `it is presented, but ${verdict.verdict} (${verdict.reason})`
        : `${found} is presented (${verdict.verdict})`;
  return new DevstackError({
    code: CertificatesErrorCode.notServed,
    message: `${host}:${String(port)} does not serve the certificate ${serial} to a client that expects ${servername}: ${what}.`,
    hint: "Look at the server's log: it may not have reloaded, or may not be able to read the files.",
    details: { host, port, servername, serial, found: found ?? null, verdict: verdict.verdict, reason: verdict.reason },
  });
}
