import { kill } from 'node:process';
import { join } from 'node:path';
import { run } from '@devstack-core/command-runner';
import { DevstackError } from '@devstack-core/errors';
import { ServiceInitErrorCode } from './errors.ts';
import { findProgram } from './find-program.ts';
import type { ServiceInitContext } from './service-init.ts';
import type { ServiceTls } from './tls.ts';

/** What making a running server take a renewed certificate needs to know. */
export type TlsReloadContext = Pick<ServiceInitContext, 'settings' | 'credentialsDirectory' | 'signal'> & {
  readonly tls: ServiceTls;
  /** The server's process; 1, as in its container, unless given. */
  readonly serverPid?: number;
};

/** How a server of the stack speaks TLS. */
export interface TlsServer {
  /** Inside the container. */
  readonly port: number;
  /** Where TLS begins inside of the server's own protocol. */
  readonly startTls?: 'postgres' | 'mysql';
  /** Makes the running server read its certificate again, with no connection dropped. Without it, only a restart does. */
  readonly reload?: (context: TlsReloadContext) => Promise<void>;
}

/** By engine, as `serviceInits`. FerretDB and Gitea read their certificate at the start alone. */
export const tlsServers: Readonly<Record<string, TlsServer>> = {
  postgres: { port: 5432, startTls: 'postgres', reload: hangUp },
  pgbouncer: { port: 6432, startTls: 'postgres', reload: hangUp },
  mysql: { port: 3306, startTls: 'mysql', reload: flushMysql },
  redis: { port: 6390, reload: reloadRedis },
  rabbitmq: { port: 5671, reload: forgetPem },
  mongodb: { port: 27_018 },
  forgejo: { port: 3443 },
};

// The server is process 1.
async function hangUp({ serverPid = 1 }: TlsReloadContext): Promise<void> {
  kill(serverPid, 'SIGHUP');
}

async function flushMysql(context: TlsReloadContext): Promise<void> {
  const file = join(context.credentialsDirectory, 'health.cnf');
  await command(context, 'mariadb', [`--defaults-file=${file}`, '--batch', '--execute', 'FLUSH SSL']);
}

// The same names again: Redis reads the files at each setting. All three at once, as a key must fit its certificate.
async function reloadRedis(context: TlsReloadContext): Promise<void> {
  const { tls } = context;
  const { readFile } = await import('node:fs/promises');
  const [login = ''] = (await readFile(join(context.credentialsDirectory, 'healthcheck'), 'utf8')).split('\n');
  const files = { 'tls-cert-file': tls.certificate, 'tls-key-file': tls.privateKey, 'tls-ca-cert-file': tls.ca };
  const words = Object.entries(files).flat().join(' ');
  const where = tls.mode === 'required' ? ['--tls', '-h', 'localhost', '-p', '6390', '--cacert', tls.ca] : [];
  const answer = await command(context, 'redis-cli', where, `${login}\nCONFIG SET ${words}\n`);
  // redis-cli ends with 0 whatever the server answers.
  if (answer.trim().split('\n').at(-1) !== 'OK') throw refused('CONFIG SET was not answered with OK');
}

// New connections read the files; the virtual machine would otherwise keep them for two minutes.
async function forgetPem(context: TlsReloadContext): Promise<void> {
  await command(context, 'rabbitmqctl', ['--quiet', 'eval', 'ssl:clear_pem_cache().']);
}

async function command(
  context: TlsReloadContext,
  name: string,
  argv: readonly string[],
  stdin?: string,
): Promise<string> {
  const program = await findProgram(context, name);
  const result = await run([program, ...argv], {
    check: false,
    timeoutMs: 30_000,
    // What the server itself was started with: the node's name, the folder of its cookie.
    inheritEnv: false,
    env: { ...context.settings, HOME: context.credentialsDirectory },
    ...(stdin === undefined ? {} : { stdin }),
    ...(context.signal === undefined ? {} : { signal: context.signal }),
  });
  if (result.exitCode !== 0) throw refused(`${name} ended with ${String(result.exitCode)}`);
  return result.stdout;
}

// What tools say when they fail may hold more than their failure, RabbitMQ's a hash of its cookie.
function refused(why: string): DevstackError {
  return new DevstackError({
    code: ServiceInitErrorCode.applyFailed,
    message: `The server was not made to read its certificate again: ${why}.`,
    hint: "Look at the server's log; a restart makes it read the certificate, too.",
  });
}
