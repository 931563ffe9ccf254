import { certificateStatus, probeTls, renewalTime, type CertificateState } from '@devstack-core/certificates';
import type { ServiceModel } from '@devstack-core/compose-project';
import { stackRoot } from './certificates.ts';
import type { Stack } from './stack.ts';
import { endpointOf, tlsModeOf, type TlsMode } from './tls.ts';

/** What a service presents to a client that verifies chain and name. */
export interface ServedCertificate {
  readonly service: string;
  readonly tls: TlsMode;
  /** `ok`, or why a client refuses it: `untrusted`, `expired`, `name-mismatch`, `plaintext`, … */
  readonly verdict: string;
  readonly reason: string;
  readonly state: CertificateState;
  /** The rest is null where none was presented. Times in ISO 8601. */
  readonly serial: string | null;
  readonly issuer: string | null;
  readonly dnsNames: readonly string[];
  readonly notBefore: string | null;
  readonly notAfter: string | null;
  readonly daysLeft: number | null;
  /** From when on it is renewed. */
  readonly renewalAt: string | null;
  readonly protocol: string | null;
  /** Leaf and intermediates in PEM; empty where none was presented. */
  readonly chainPem: string;
  readonly advice: string;
}

/** The certificates of a stack. */
export interface CertificatesReport {
  /** Null for a stack without TLS. */
  readonly root: {
    readonly id: string;
    readonly notAfter: string;
    readonly bundlePath: string;
    /** Roots that are still trusted until `retireRoots`. */
    readonly retiring: readonly string[];
  } | null;
  readonly services: readonly ServedCertificate[];
  /** Have a container and are to speak TLS, but do not run. */
  readonly notRunning: readonly string[];
  /** Do not speak TLS. */
  readonly plain: readonly string[];
}

/** The engines whose protocol begins in plain text. */
const startTls: Readonly<Record<string, 'postgres' | 'mysql'>> = {
  postgresql: 'postgres',
  pgbouncer: 'postgres',
  mysql: 'mysql',
};

/** Asks every running service for its certificate, all at once. What a server does wrong is a value, not an exception. */
export async function certificates(
  stack: Stack,
  options: { readonly services?: readonly ServiceModel[]; readonly now?: Date } = {},
): Promise<CertificatesReport> {
  const { services = stack.model.services, now = new Date() } = options;
  const speaking = services.filter((service) => tlsModeOf(service) !== 'false');
  const plain = services.filter((service) => tlsModeOf(service) === 'false').map(({ name }) => name);
  const ca = stack.caBundle();
  if (speaking.length === 0 || ca === undefined) {
    return { root: null, services: [], notRunning: speaking.map(({ name }) => name), plain };
  }
  const containers = await (await stack.engine()).listContainers({ project: stack.project.id, all: true });
  const brought = speaking.filter((service) => containers.some((one) => one.service === service.name));
  const isRunning = (service: ServiceModel): boolean =>
    containers.some((one) => one.service === service.name && one.state === 'running');
  const root = await stackRoot(stack);
  return {
    root: {
      id: root.id,
      notAfter: root.notAfter.toISOString(),
      bundlePath: root.bundlePath,
      retiring: root.state.retiring.map(({ id }) => id),
    },
    services: await Promise.all(brought.filter(isRunning).map((service) => served(stack, service, ca, now))),
    notRunning: brought.filter((service) => !isRunning(service)).map(({ name }) => name),
    plain,
  };
}

async function served(stack: Stack, service: ServiceModel, ca: string, now: Date): Promise<ServedCertificate> {
  const starttls = startTls[service.protocol ?? ''];
  const endpoint = endpointOf(stack, service) ?? { host: '127.0.0.1', port: 0 };
  const { verdict, reason, certificate, protocol } = await probeTls({
    host: endpoint.host,
    port: endpoint.port,
    servername: service.name,
    ca,
    ...(starttls === undefined ? {} : { starttls }),
  });
  const chainPem = certificate?.chainPem ?? '';
  const [status] = await certificateStatus([{ service: service.name, pem: chainPem }], { now });
  return {
    service: service.name,
    tls: tlsModeOf(service),
    verdict,
    reason,
    state: certificate === undefined ? 'missing' : (status?.state ?? 'unreadable'),
    serial: certificate?.serial ?? null,
    issuer: certificate?.issuer ?? null,
    dnsNames: certificate?.dnsNames ?? [],
    notBefore: certificate?.notBefore.toISOString() ?? null,
    notAfter: certificate?.notAfter.toISOString() ?? null,
    daysLeft: status?.certificate?.daysLeft ?? null,
    renewalAt: certificate === undefined ? null : renewalTime(certificate).toISOString(),
    protocol: protocol ?? null,
    chainPem,
    advice: certificate === undefined ? 'It presents none: look at its log.' : (status?.advice ?? ''),
  };
}
