import { randomUUID } from 'node:crypto';
import { renderMyCnf } from '@devstack-core/credential-files';
import { DevstackError } from '@devstack-core/errors';
import { tlsModeOf } from '@devstack-core/stack-lifecycle';
import type { Context } from '../context.ts';
import { serviceCredentials } from './credentials.ts';

/**
 * The engine's own client inside the container. The server keeps hashes alone, so the password is put into a private file in memory,
 * which is gone from its folder before the client starts: it is in no argument and no variable.
 */
export async function mysqlShell(service: string, context: Context): Promise<number> {
  const stack = await context.stack();
  const engine = await stack.engine();
  const containers = await engine.listContainers({ project: stack.project.id });
  const container = containers.find((candidate) => candidate.service === service);
  if (container === undefined)
    throw new DevstackError({
      code: 'STACK_NOT_RUNNING',
      message: `${service} is not running.`,
      hint: `Run: devstack up ${service}`,
    });
  const { username, password, database } = await serviceCredentials(stack, service);
  const path = `/run/credentials/shell-${randomUUID()}.cnf`;
  const isPlain = tlsModeOf(stack.model.service(service)) === 'false';
  const file = renderMyCnf({
    client: {
      protocol: 'tcp',
      host: isPlain ? '127.0.0.1' : 'localhost',
      port: 3306,
      user: username,
      password,
      ...(isPlain ? {} : { 'ssl-ca': '/run/approle/ca.pem', 'ssl-verify-server-cert': true }),
    },
  });
  const written = await engine.exec(container.id, ['sh', '-c', 'umask 077; cat > "$0"', path], { stdin: file });
  if (written.exitCode !== 0)
    throw new DevstackError({ code: 'COMMAND_REFUSED', message: `${path}: ${written.stderr.trim()}` });
  const script = 'exec 3<"$0" && rm -- "$0" && exec mariadb --defaults-extra-file=/proc/self/fd/3 --database="$1"';
  return stack.compose.execInteractive(service, ['sh', '-c', script, path, database ?? username], {});
}
