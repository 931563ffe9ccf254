import type { X509Certificate } from 'node:crypto';
import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as connectTls, type SecureVersion, type TLSSocket } from 'node:tls';
import { isSecret, type Secret } from '@devstack-core/redaction';
import { isSelfSigned, pemOf } from './pem.ts';
import { parseCertificates } from './pem.ts';
import { startTls, type StartTls } from './start-tls.ts';
import { alternativeNames } from './subject.ts';
import { failureOf, trustFailureOf, type TlsVerdictKind } from './tls-verdicts.ts';

export interface ProbeTlsOptions {
  readonly host: string;
  readonly port: number;
  /** The name that the certificate must be for; default `host`. */
  readonly servername?: string;
  /** The roots to trust, in PEM: no others are. */
  readonly ca: string;
  /** The client's own certificate and key, where the server asks for one. */
  readonly cert?: string;
  readonly key?: string | Secret;
  readonly starttls?: StartTls;
  /** To find out what a server still accepts: `TLSv1.1`. */
  readonly minVersion?: SecureVersion;
  readonly maxVersion?: SecureVersion;
  /** Default 5,000. */
  readonly timeoutMs?: number;
  /** With TLS 1.3 a server refuses a client's certificate after the handshake: how long to wait for that, unless it sends a ticket first. Default 250. */
  readonly settleMs?: number;
}

/** What a server presented, trusted or not. */
export interface PresentedCertificate {
  readonly serial: string;
  readonly subject: string;
  readonly issuer: string;
  readonly dnsNames: readonly string[];
  readonly ipAddresses: readonly string[];
  readonly notBefore: Date;
  readonly notAfter: Date;
  readonly fingerprint256: string;
  /** It and what the server sent after it, in PEM. */
  readonly chainPem: string;
}

export interface TlsVerdict {
  readonly verdict: TlsVerdictKind;
  /** A code of OpenSSL or of the system, or a few words. */
  readonly reason: string;
  readonly certificate: PresentedCertificate | undefined;
  /** `TLSv1.3`; undefined without a handshake. */
  readonly protocol: string | undefined;
  readonly cipher: string | undefined;
}

/**
 * Connects as a client that verifies chain and name would, and says what came of it. It sends no login and no data. Never throws for what a
 * server does: that is the verdict. Throws `CERTIFICATE_UNREADABLE` for a `ca` that holds no certificate.
 */
export async function probeTls(options: ProbeTlsOptions): Promise<TlsVerdict> {
  parseCertificates(options.ca, 'The roots to trust (ca)');
  let socket: Socket | undefined;
  const timeoutMs = options.timeoutMs ?? 5000;
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      reject(Object.assign(new Error('timeout'), { code: 'TIMEOUT' }));
    }, timeoutMs);
  });
  try {
    socket = connectTcp({ host: options.host, port: options.port });
    // An error that comes after the verdict concerns nobody.
    socket.on('error', () => undefined);
    return await Promise.race([timeout, handshake(socket, options)]);
  } catch (error) {
    // What Node itself refuses, or what has no code, is no answer of a server.
    if (!(error instanceof Error) || !('code' in error) || /^ERR_(?!SSL|TLS)/.test(String(error.code))) throw error;
    return { ...failureOf(error), certificate: undefined, protocol: undefined, cipher: undefined };
  } finally {
    clearTimeout(timer);
    timeout.catch(() => undefined);
    socket?.destroy();
  }
}

async function handshake(socket: Socket, options: ProbeTlsOptions): Promise<TlsVerdict> {
  await event(socket, 'connect');
  if (options.starttls !== undefined) {
    const preamble = await startTls(socket, options.starttls);
    if (preamble.kind !== 'go-on') {
      const { kind, reason } = preamble;
      return { verdict: kind, reason, certificate: undefined, protocol: undefined, cipher: undefined };
    }
  }
  const name = options.servername ?? options.host;
  const key = isSecret(options.key) ? options.key.reveal() : options.key;
  const secure = connectTls({
    socket,
    // `host` is what the name is compared with where there is no `servername`, which must not be an address.
    host: name,
    ...(isIP(name) === 0 ? { servername: name } : {}),
    ca: options.ca,
    ...(options.cert === undefined ? {} : { cert: options.cert }),
    ...(key === undefined ? {} : { key }),
    ...(options.minVersion === undefined ? {} : { minVersion: options.minVersion }),
    ...(options.maxVersion === undefined ? {} : { maxVersion: options.maxVersion }),
    // A certificate that is not trusted is looked at, too; nothing is sent over such a connection.
    rejectUnauthorized: false,
  });
  const isTicketSent = new Promise<void>((resolve) =>
    secure.once('session', () => {
      resolve();
    }),
  );
  await event(secure, 'secureConnect');
  const certificate = secure.getPeerX509Certificate();
  const found = {
    certificate: certificate === undefined ? undefined : presented(certificate),
    protocol: secure.getProtocol() ?? undefined,
    cipher: secure.getCipher().name,
  };
  if (!secure.authorized) return { ...trustFailureOf(secure.authorizationError), ...found };
  const refusal = await refusedAfterwards(secure, isTicketSent, options.settleMs ?? 250);
  return refusal === undefined ? { verdict: 'ok', reason: '', ...found } : { ...failureOf(refusal), ...found };
}

/** An error within that time, or undefined when the server goes on. */
async function refusedAfterwards(secure: TLSSocket, ticket: Promise<void>, settleMs: number): Promise<unknown> {
  if (secure.getProtocol() !== 'TLSv1.3') return undefined;
  let timer: NodeJS.Timeout | undefined;
  const refused = new Promise<unknown>((resolve) => {
    secure.once('error', resolve);
    secure.once('close', () => {
      resolve(Object.assign(new Error('closed'), { code: 'ECONNRESET' }));
    });
    timer = setTimeout(() => {
      resolve(undefined);
    }, settleMs);
  });
  // Data must be read for an alert to be seen.
  secure.resume();
  const outcome = await Promise.race([refused, ticket.then(() => undefined)]);
  clearTimeout(timer);
  return outcome;
}

/** Without the root, which OpenSSL adds from what is trusted here. */
function chainOf(leaf: X509Certificate): string {
  const pems: string[] = [];
  for (let next: X509Certificate | undefined = leaf; next !== undefined; next = next.issuerCertificate) {
    if (isSelfSigned(next) && pems.length > 0) break;
    pems.push(pemOf(next));
  }
  return pems.join('');
}

function presented(certificate: X509Certificate): PresentedCertificate {
  return {
    serial: certificate.serialNumber,
    subject: certificate.subject.replaceAll('\n', ', '),
    issuer: certificate.issuer.replaceAll('\n', ', '),
    ...alternativeNames(certificate),
    notBefore: certificate.validFromDate,
    notAfter: certificate.validToDate,
    fingerprint256: certificate.fingerprint256,
    chainPem: chainOf(certificate),
  };
}

function event(socket: Socket, name: 'connect' | 'secureConnect'): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once(name, () => {
      resolve();
    });
    socket.once('error', reject);
    socket.once('close', () => {
      reject(Object.assign(new Error('closed'), { code: 'ECONNRESET' }));
    });
  });
}
