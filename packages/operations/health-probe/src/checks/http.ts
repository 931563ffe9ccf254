import { Agent, request as httpsRequest } from 'node:https';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { Unhealthy, usernameOf, type Check, type CheckContext } from '../check.ts';

const maximumBodyBytes = 256 * 1024;

/** Forgejo or Gitea: its API answers, and knows the user by the password. */
export const forgejo: Check = {
  describe: (context) => `GET /api/v1/user as ${usernameOf(context, 'unknown')}`,
  run: async (context) => {
    const username = usernameOf(context);
    const password = context.credentials?.['password']?.reveal() ?? '';
    const authorization = `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
    const [version, user] = await Promise.all([
      get(context, '/api/v1/version'),
      get(context, '/api/v1/user', { authorization }),
    ]);
    if (version.status !== 200 || typeof version.json?.['version'] !== 'string') {
      throw new Unhealthy({
        reason: 'The API did not tell its version.',
        answered: `HTTP ${String(version.status)} from ${version.server}`,
        nextStep: "Check the port: another HTTP service may answer there. Otherwise look into the server's log.",
      });
    }
    if (user.status === 401 || user.status === 403) {
      throw new Unhealthy({
        reason: `The login of "${username}" was refused.`,
        answered: `HTTP ${String(user.status)} to /api/v1/user`,
        nextStep: 'Check whether the password was changed on one side only.',
      });
    }
    if (user.status !== 200) {
      throw new Unhealthy({
        reason: 'The API cannot read its database.',
        answered: `HTTP ${String(user.status)} to /api/v1/user`,
        nextStep: "Look into the server's log, and at its PostgreSQL.",
      });
    }
    return { version: version.json['version'], login: user.json?.['login'] };
  },
};

/** Any service that tells over HTTP whether it is ready. */
export const http: Check = {
  describe: ({ path = '/ready' }) => `GET ${path}`,
  run: async (context) => {
    const { path = '/ready' } = context;
    const answer = await get(context, path);
    if (answer.status >= 200 && answer.status < 300)
      return { status: answer.status, ...(answer.json === undefined ? {} : { body: answer.json }) };
    const unwell = unwellServices(answer.json);
    throw new Unhealthy({
      reason:
        unwell.length === 0
          ? `The service answered HTTP ${String(answer.status)}.`
          : `The service is not ready: ${unwell.join(', ')}.`,
      answered: `HTTP ${String(answer.status)} to ${path}`,
      nextStep:
        unwell.length === 0
          ? `Look into the service's log, and check that ${path} is its readiness path.`
          : 'Check these services first.',
      details: { status: answer.status, ...(answer.json === undefined ? {} : { body: answer.json }) },
    });
  },
};

interface Answer {
  readonly status: number;
  /** What the server calls itself. */
  readonly server: string;
  readonly json: Readonly<Record<string, unknown>> | undefined;
}

async function get(
  { host, port, tls = false, signal }: CheckContext,
  path: string,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const response = Promise.withResolvers<IncomingMessage>();
  const options = {
    host,
    port,
    path,
    signal,
  };
  const sent =
    tls === false
      ? httpRequest({ ...options, agent: false })
      : httpsRequest({ ...options, agent: new Agent({ ...tls, keepAlive: false }) });
  // Not among the options: Node prints those, the password with them, when NODE_DEBUG asks for `http`.
  const sentHeaders = { accept: 'application/json', 'user-agent': 'devstack-health-probe', ...headers };
  for (const [name, value] of Object.entries(sentHeaders)) sent.setHeader(name, value);
  sent.on('response', response.resolve);
  sent.on('error', response.reject);
  sent.end();
  const message = await response.promise;
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of message as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size <= maximumBodyBytes) chunks.push(chunk);
  }
  return {
    status: message.statusCode ?? 0,
    server: serverName(message.headers['server']),
    json: parse(Buffer.concat(chunks).toString()),
  };
}

function serverName(header: string | string[] | undefined): string {
  return typeof header === 'string' ? header : 'an HTTP server';
}

function parse(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}

// {"services": {"redis": "disconnected"}}, as reference-api answers.
function unwellServices(json: Readonly<Record<string, unknown>> | undefined): readonly string[] {
  const services = json?.['services'];
  if (typeof services !== 'object' || services === null) return [];
  return Object.entries(services).flatMap(([name, state]) =>
    state === 'connected' || state === 'ok' || state === 'up' ? [] : [`${name} ${String(state)}`],
  );
}
