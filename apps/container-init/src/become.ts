import { accessSync, constants, rmSync } from 'node:fs';
import { DevstackError } from '@devstack-core/errors';
import type { PreparedService } from '@devstack-core/service-init';

const env = '/usr/bin/env';
// Only for the login; the server has no use for them.
const ours = /^(?:VAULT_|NODE_|DEVSTACK_VAULT_)/;

/** The environment of the server: the container's own, without what only the login needed. */
export function serverEnvironment(
  environment: Readonly<Record<string, string | undefined>>,
  added: Readonly<Record<string, string>>,
): Record<string, string> {
  const kept = Object.entries(environment).filter(
    (entry): entry is [string, string] => entry[1] !== undefined && !ours.test(entry[0]),
  );
  return { ...Object.fromEntries(kept), ...added };
}

/**
 * Replaces this process by the server, which keeps its process id (1 in a container). Never returns.
 * Node ignores SIGPIPE and SIGXFSZ and a program inherits that, so `env` restores both. A failed execve is a crash
 * without a message: both programs are checked first.
 */
export function become(prepared: PreparedService, environment: Readonly<Record<string, string | undefined>>): never {
  for (const path of prepared.unlink ?? []) rmSync(path, { force: true });
  for (const program of [env, prepared.argv[0]]) {
    try {
      accessSync(program, constants.X_OK);
    } catch {
      throw new DevstackError({
        code: 'PROGRAM_MISSING',
        message: `${program} is not an executable of this image.`,
        hint: 'Build the image again: "devstack images build".',
      });
    }
  }
  if (process.execve === undefined)
    throw new DevstackError({
      code: 'PROGRAM_MISSING',
      message: 'This Node cannot replace itself.',
      hint: 'The image needs Node 24 on Linux.',
    });
  return process.execve(
    env,
    ['env', '--default-signal=PIPE,XFSZ', ...prepared.argv],
    serverEnvironment(environment, prepared.env),
  );
}
