import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { stripVTControlCharacters } from 'node:util';
import { run, type RunResult } from '@devstack-core/command-runner';
import { DevstackError, isDevstackError } from '@devstack-core/errors';
import { secret, type Secret } from '@devstack-core/redaction';
import { ServiceInitErrorCode } from './errors.ts';
import { nameField, secretField } from './secret-fields.ts';
import type { ServiceInitContext } from './service-init.ts';
import { trustEnvironment } from './tls.ts';

export interface ApplyForgejoAdminOptions {
  readonly context: ServiceInitContext;
  readonly server: string;
  /** An app.ini with which the server listens on loopback alone. */
  readonly config: string;
}

/** Where the throw-away server listens. */
export const loopbackPort = 3099;

const origin = `http://127.0.0.1:${String(loopbackPort)}`;
const tokenPrefix = 'devstack-init-';

/**
 * Creates the tables and the administrator, and gives it the password of the secret. The command line would take a password as
 * an argument only: so it makes a user with a random one and an access token, which come by stdout, and the password is set
 * through the API of a server that only this container can reach. The token is removed with the new password, which proves it.
 */
export async function applyForgejoAdmin({ context, server, config }: ApplyForgejoAdminOptions): Promise<void> {
  const username = nameField(context, 'username');
  const password = secretField(context, 'password');
  const command = (...argv: readonly string[]): Promise<RunResult> => runGitea(context, server, config, argv);

  await command('migrate');
  const { stdout: list } = await command('admin', 'user', 'list');
  const exists = list.split('\n').some((line) => line.trim().split(/\s+/)[1] === username);
  if (!exists) {
    const email = secretField(context, 'email').reveal();
    await command(
      'admin',
      'user',
      'create',
      '--admin',
      '--username',
      username,
      '--email',
      email,
      '--random-password',
      '--must-change-password=false',
    );
  }
  const tokenName = tokenPrefix + randomBytes(6).toString('hex');
  const generated = await command(
    'admin',
    'user',
    'generate-access-token',
    '--username',
    username,
    '--token-name',
    tokenName,
    '--scopes',
    'all',
    '--raw',
  );
  const token = secret(generated.stdout.trim());

  await withServer(context, server, config, async () => {
    const bearer = secret(`token ${token.reveal()}`);
    const basic = secret(`Basic ${Buffer.from(`${username}:${password.reveal()}`, 'utf8').toString('base64')}`);
    await call(context, bearer, 'PATCH', `admin/users/${username}`, {
      source_id: 0,
      login_name: username,
      password: password.reveal(),
      must_change_password: false,
      admin: true,
      active: true,
      prohibit_login: false,
    });
    // Also those of earlier tries that were killed.
    const tokens = await call(context, basic, 'GET', `users/${username}/tokens?limit=50`);
    for (const { name } of Array.isArray(tokens) ? (tokens as { name?: unknown }[]) : []) {
      if (typeof name === 'string' && name.startsWith(tokenPrefix))
        await call(context, basic, 'DELETE', `users/${username}/tokens/${name}`);
    }
  });
}

async function runGitea(
  context: ServiceInitContext,
  server: string,
  config: string,
  argv: readonly string[],
): Promise<RunResult> {
  const result = await run([server, ...argv, '--config', config, '--work-path', context.dataDirectory], {
    check: false,
    env: { GITEA_WORK_DIR: context.dataDirectory, ...trustEnvironment(context) },
    timeoutMs: 120_000,
    ...(context.signal === undefined ? {} : { signal: context.signal }),
  });
  if (result.exitCode === 0) return result;
  throw failed(
    `"gitea ${argv.slice(0, 3).join(' ')}" ended with exit code ${String(result.exitCode)}`,
    reasonIn(`${result.stdout}\n${result.stderr}`),
  );
}

async function withServer(
  context: ServiceInitContext,
  server: string,
  config: string,
  work: () => Promise<void>,
): Promise<void> {
  const stop = new AbortController();
  const state = { ended: false };
  const running = run([server, 'web', '--config', config, '--work-path', context.dataDirectory], {
    check: false,
    env: { GITEA_WORK_DIR: context.dataDirectory, ...trustEnvironment(context) },
    signal: context.signal === undefined ? stop.signal : AbortSignal.any([stop.signal, context.signal]),
    overflow: 'keep-tail',
    maxOutputBytes: 64 * 1024,
    killGraceMs: 10_000,
  }).then(
    () => (state.ended = true),
    () => (state.ended = true),
  );
  try {
    const deadline = performance.now() + 60_000;
    for (;;) {
      const answer = await fetch(`${origin}/api/healthz`).catch(() => undefined);
      if (answer?.ok === true) break;
      if (state.ended) throw failed('the throw-away server ended');
      if (performance.now() > deadline) throw failed('the throw-away server did not answer within 60 s');
      await sleep(50);
    }
    await work();
  } finally {
    stop.abort();
    await running;
  }
}

async function call(
  context: ServiceInitContext,
  authorization: Secret,
  method: string,
  path: string,
  body?: object,
): Promise<unknown> {
  let answer: Response;
  let text: string;
  try {
    answer = await fetch(`${origin}/api/v1/${path}`, {
      method,
      headers: { authorization: authorization.reveal(), 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.any([AbortSignal.timeout(20_000), ...(context.signal === undefined ? [] : [context.signal])]),
    });
    text = await answer.text();
  } catch (error) {
    if (isDevstackError(error)) throw error;
    throw failed(`the throw-away server did not answer to ${method}`);
  }
  if (!answer.ok) {
    // 422 is about the password: too short, or found in a list of known ones.
    throw failed(
      `its API answered ${method} with status ${String(answer.status)}`,
      answer.status === 422 || answer.status === 400
        ? 'the password does not meet the rules in configs/forgejo/app.ini'
        : '',
    );
  }
  return text === '' ? undefined : JSON.parse(text);
}

// The last line that says what is wrong; none of them holds a value of app.ini.
function reasonIn(output: string): string {
  const line = output.split('\n').findLast((text) => /error|fatal|fail/i.test(text)) ?? '';
  return stripVTControlCharacters(line).slice(0, 300).trim();
}

function failed(what: string, why = ''): DevstackError {
  return new DevstackError({
    code: ServiceInitErrorCode.applyFailed,
    message: `The administrator of Forgejo could not be brought up to date: ${what}${why === '' ? '' : ` (${why})`}.`,
    hint: 'Run "devstack health postgres": its tables are there. The next start tries again.',
  });
}
