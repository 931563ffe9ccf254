import { createHash } from 'node:crypto';
import { readFile, readdir } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { DevstackError } from '@devstack-core/errors';
import { DockerEngineErrorCode } from './errors.ts';

/** Where the engine is, and the certificates to talk to it. */
export interface Endpoint {
  /** `unix:///…`, `npipe:////./pipe/…`, `tcp://host:port`, or `ssh://[user@]host[:port]`. */
  readonly address: string;
  /** The context that names it; undefined where an address was given. */
  readonly context?: string;
  readonly tls?: { readonly ca?: string; readonly cert?: string; readonly key?: string; readonly skipVerify: boolean };
}

/** How to find the engine; the first that is given wins: host, context, DOCKER_HOST, DOCKER_CONTEXT, the current context, the default. */
export interface EndpointOptions {
  readonly host?: string;
  readonly context?: string;
  /** DOCKER_HOST, DOCKER_CONTEXT, DOCKER_CONFIG, DOCKER_TLS_VERIFY, DOCKER_CERT_PATH; others are not looked at. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** The docker client's folder; `~/.docker` unless given. */
  readonly configDir?: string;
}

const defaultAddress = process.platform === 'win32' ? 'npipe:////./pipe/docker_engine' : 'unix:///var/run/docker.sock';

/** Finds the engine as the docker client does (docker/cli, package `context/store`). Throws DOCKER_CONTEXT_INVALID. */
export async function resolveEndpoint(options: EndpointOptions = {}): Promise<Endpoint> {
  const env = options.env ?? {};
  const directory = options.configDir ?? given(env['DOCKER_CONFIG']) ?? join(homedir(), '.docker');
  const host = given(options.host);
  if (host !== undefined) return fromAddress(host, env, directory);
  const named = given(options.context);
  if (named !== undefined) return fromContext(named, directory);
  const fromEnv = given(env['DOCKER_HOST']);
  if (fromEnv !== undefined) return fromAddress(fromEnv, env, directory);
  return fromContext(given(env['DOCKER_CONTEXT']) ?? (await currentContext(directory)) ?? 'default', directory);
}

async function fromAddress(
  address: string,
  env: Readonly<Record<string, string | undefined>>,
  directory: string,
): Promise<Endpoint> {
  const full = address.includes('://') ? address : `tcp://${address}`;
  if (!/^(unix|npipe|tcp|http|https|ssh):\/\/./.test(full))
    throw invalid(
      `${JSON.stringify(address)} is no address of a Docker engine.`,
      'Write unix:///path, tcp://host:port or ssh://user@host.',
    );
  if (full.startsWith('https:'))
    return { address: full, tls: await certificates(given(env['DOCKER_CERT_PATH']) ?? directory, false) };
  if (!full.startsWith('tcp:') || given(env['DOCKER_TLS_VERIFY']) === undefined) return { address: full };
  return { address: full, tls: await certificates(given(env['DOCKER_CERT_PATH']) ?? directory, false) };
}

async function fromContext(name: string, directory: string): Promise<Endpoint> {
  if (name === 'default') return { address: defaultAddress, context: name };
  const id = createHash('sha256').update(name).digest('hex');
  const path = join(directory, 'contexts', 'meta', id, 'meta.json');
  const text = await readFile(path, 'utf8').catch(() => undefined);
  if (text === undefined)
    throw invalid(`There is no Docker context ${JSON.stringify(name)}.`, await knownContexts(directory));
  const endpoint = record(record(record(parse(text, path))['Endpoints'])['docker']);
  const address = endpoint['Host'];
  if (typeof address !== 'string' || address === '')
    throw invalid(`The Docker context ${name} names no engine (${path}).`, 'Correct it with `docker context update`.');
  const tls = await certificates(join(directory, 'contexts', 'tls', id, 'docker'), endpoint['SkipTLSVerify'] === true);
  return {
    address,
    context: name,
    ...(tls.ca === undefined && tls.cert === undefined && !tls.skipVerify ? {} : { tls }),
  };
}

async function currentContext(directory: string): Promise<string | undefined> {
  const path = join(directory, 'config.json');
  const text = await readFile(path, 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  const name = record(parse(text, path))['currentContext'];
  return typeof name === 'string' ? given(name) : undefined;
}

async function certificates(directory: string, skipVerify: boolean): Promise<NonNullable<Endpoint['tls']>> {
  const [ca, cert, key] = await Promise.all(
    ['ca.pem', 'cert.pem', 'key.pem'].map((name) => readFile(join(directory, name), 'utf8').catch(() => undefined)),
  );
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    skipVerify,
  };
}

async function knownContexts(directory: string): Promise<string> {
  const root = join(directory, 'contexts', 'meta');
  const ids = await readdir(root).catch(() => []);
  const names = await Promise.all(
    ids.map(async (id) => {
      const text = await readFile(join(root, id, 'meta.json'), 'utf8').catch(() => '{}');
      try {
        return record(JSON.parse(text))['Name'];
      } catch {
        return undefined;
      }
    }),
  );
  return `There are: ${['default', ...names.filter((name) => typeof name === 'string')].join(', ')}. See \`docker context ls\`.`;
}

function parse(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw invalid(`${path} is not valid JSON.`, 'Correct it, or create the context again.');
  }
}

function record(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
}

function given(text: string | undefined): string | undefined {
  return text === undefined || text === '' ? undefined : text;
}

function invalid(message: string, hint: string): DevstackError {
  return new DevstackError({
    code: DockerEngineErrorCode.dockerContextInvalid,
    message,
    hint,
    details: { usage: true },
  });
}
