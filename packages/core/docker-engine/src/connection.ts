import type Dockerode from 'dockerode';
import type { Endpoint } from './endpoint.ts';
import { asking, type Subject } from './docker-error.ts';
import { SshAgent } from './ssh-agent.ts';

/** A dockerode client with the address it talks to. */
export class Connection {
  readonly docker: Dockerode;
  readonly endpoint: Endpoint;
  readonly #agent: SshAgent | undefined;

  constructor(docker: Dockerode, endpoint: Endpoint, agent: SshAgent | undefined) {
    this.docker = docker;
    this.endpoint = endpoint;
    this.#agent = agent;
  }

  /** Runs a call about something, with its failure told in our words. */
  ask<T>(kind: Subject['kind'], name: string, call: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    return asking(this.subject(kind, name, signal), call);
  }

  subject(kind: Subject['kind'], name: string, signal?: AbortSignal): Subject {
    return { kind, name, endpoint: this.endpoint.address, signal };
  }

  close(): void {
    this.#agent?.destroy();
  }
}

/** Opens dockerode, which is slow to load and so loaded only here. Nothing is sent yet. */
export async function openConnection(endpoint: Endpoint): Promise<Connection> {
  const { default: Docker } = await import('dockerode');
  const url = new URL(endpoint.address.startsWith('npipe:') ? 'unix:///' : endpoint.address);
  if (url.protocol === 'unix:') {
    const socketPath = endpoint.address.replace(/^(unix|npipe):\/\//, '');
    return new Connection(new Docker(settings({ socketPath, protocol: 'http' })), endpoint, undefined);
  }
  if (url.protocol === 'ssh:') {
    const agent = new SshAgent(endpoint.address);
    return new Connection(new Docker(settings({ host: 'docker', port: 80, protocol: 'http', agent })), endpoint, agent);
  }
  const { tls } = endpoint;
  const isTls = tls !== undefined || url.protocol === 'https:';
  const port = url.port === '' ? (isTls ? 2376 : 2375) : Number(url.port);
  const verify = tls?.skipVerify === true ? { checkServerIdentity: () => undefined } : {};
  return new Connection(
    new Docker(
      settings({
        host: url.hostname,
        port,
        protocol: isTls ? 'https' : 'http',
        ca: tls?.ca,
        cert: tls?.cert,
        key: tls?.key,
        ...verify,
      }),
    ),
    endpoint,
    undefined,
  );
}

// dockerode fills every missing option from the process's environment; options that are there, even undefined, keep it out.
function settings(own: Readonly<Record<string, unknown>>): Dockerode.DockerOptions {
  const none = {
    socketPath: undefined,
    host: undefined,
    port: undefined,
    username: undefined,
    pathPrefix: '/',
    ca: undefined,
    cert: undefined,
    key: undefined,
  };
  return { ...none, timeout: undefined, ...own };
}
