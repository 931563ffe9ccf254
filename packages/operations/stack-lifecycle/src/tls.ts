import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ComposeModel, PortModel, ServiceModel } from '@devstack-core/compose-project';
import { DevstackError } from '@devstack-core/errors';
import { StackErrorCode } from './errors.ts';
import type { Stack } from './stack.ts';

/** `false`: no TLS. `true`: TLS beside plain connections; whatever is ours uses TLS. `required`: plain connections are refused. */
export type TlsMode = 'false' | 'true' | 'required';

/** Where this machine reaches a service, and how it verifies that it is that service. */
export interface Endpoint {
  readonly host: string;
  readonly port: number;
  /** Chain and name are verified; the name is the service's own, whatever address it is reached at. */
  readonly tls: { readonly ca?: string; readonly servername: string } | false;
}

/** What a service's own environment says: `DEVSTACK_TLS` and `<SERVICE>_ENABLE_TLS` come together there. */
export function tlsModeOf(service: Pick<ServiceModel, 'environment'>): TlsMode {
  const value = service.environment['DEVSTACK_TLS'];
  return value === 'true' || value === 'required' ? value : 'false';
}

/** Whether any service of the stack speaks TLS. */
export function usesTls(model: ComposeModel): boolean {
  return model.services.some((service) => tlsModeOf(service) !== 'false');
}

/** The ports at which a service answers in its mode: those of TLS only with it, and plain ones that have such a port beside them not when it is required. */
export function portsInUse(service: Pick<ServiceModel, 'environment' | 'ports'>): readonly PortModel[] {
  const mode = tlsModeOf(service);
  const isTls = (name: string): boolean => name.endsWith('-tls');
  return service.ports.filter(({ name }) => {
    if (mode === 'false') return !isTls(name);
    return mode === 'true' || isTls(name) || !service.ports.some((other) => other.name === `${name}-tls`);
  });
}

/** Undefined for a service that publishes no such port. Without a name it is the service's first port. */
export function endpointOf(stack: Pick<Stack, 'caBundle'>, service: ServiceModel, name?: string): Endpoint | undefined {
  const plain = name === undefined ? service.ports[0] : service.ports.find((port) => port.name === name);
  if (plain === undefined) return undefined;
  if (tlsModeOf(service) === 'false') return { host: plain.hostAddress, port: plain.hostPort, tls: false };
  // Where the server cannot tell the two apart on one port, TLS has one of its own.
  const port = service.ports.find((one) => one.name === `${plain.name}-tls`) ?? plain;
  const ca = stack.caBundle();
  return {
    host: port.hostAddress,
    port: port.hostPort,
    tls: { servername: service.name, ...(ca === undefined ? {} : { ca }) },
  };
}

/** The same, for a service that must have one. Throws UNKNOWN_SERVICE. */
export function requireEndpoint(stack: Stack, service: string, name?: string): Endpoint {
  const found = endpointOf(stack, stack.model.service(service), name);
  if (found !== undefined) return found;
  throw new DevstackError({
    code: StackErrorCode.unknownService,
    message: `${service} publishes no port${name === undefined ? '' : ` named ${name}`}.`,
  });
}

/** The roots of a project, or nothing before its first start with TLS. Read anew each time: they change when roots are exchanged. */
export function readCaBundle(certificates: string): string | undefined {
  try {
    return readFileSync(join(certificates, 'ca.crt'), 'utf8');
  } catch {
    return undefined;
  }
}
