import { randomBytes } from 'node:crypto';
import { access, mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '@devstack-core/command-runner';
import { renderMyCnf, writeCredentialFiles } from '@devstack-core/credential-files';
import { DevstackError } from '@devstack-core/errors';
import { secret } from '@devstack-core/redaction';
import { checkDataDirectory } from './data-directory.ts';
import { ServiceInitErrorCode } from './errors.ts';
import { findProgram } from './find-program.ts';
import { rememberUsers } from './known-users.ts';
import { renderMysqlInitFile } from './mysql-users.ts';
import { nameField } from './secret-fields.ts';
import type { PreparedService, ServiceInit, ServiceInitContext } from './service-init.ts';
import type { ServiceTls } from './tls.ts';

/**
 * MariaDB, which serves the MySQL protocol. The data directory appears by one rename, so a first start that was killed leaves
 * nothing but a `.partial` folder. Users come from an init-file of hashes that the server runs at each start before it lets
 * anybody in, so a rotated password needs a restart alone.
 */
export const mysqlInit: ServiceInit = {
  engine: 'mysql',
  async prepare(context): Promise<PreparedService> {
    await checkDataDirectory(context.dataDirectory);
    const server = await findProgram(context, 'mariadbd');
    const directory = join(context.dataDirectory, 'data');
    if (!(await exists(join(directory, 'mysql')))) await firstStart(context, directory);

    const health = {
      username: 'devstack_health',
      password: secret(randomBytes(24).toString('hex')),
      reloadsTls: context.tls !== undefined,
    };
    const former = await rememberUsers(context.dataDirectory, [
      nameField(context, 'username'),
      ...context.clients.map((client) => client.username),
    ]);
    await writeCredentialFiles({
      directory: context.credentialsDirectory,
      files: [
        { name: 'init.sql', content: renderMysqlInitFile(context, health, former) },
        {
          name: 'health.cnf',
          content: renderMyCnf({
            client: {
              protocol: 'tcp',
              host: context.tls === undefined ? '127.0.0.1' : 'localhost',
              port: 3306,
              ...(context.tls === undefined ? {} : { 'ssl-ca': context.tls.ca, 'ssl-verify-server-cert': true }),
              user: health.username,
              password: health.password,
              'connect-timeout': 3,
            },
          }),
        },
      ],
    });
    return {
      argv: [
        server,
        `--defaults-file=${join(context.configDirectory, 'mariadb.cnf')}`,
        `--datadir=${directory}`,
        `--init-file=${join(context.credentialsDirectory, 'init.sql')}`,
        ...tlsArguments(context.tls),
        ...context.arguments,
      ],
      env: {},
    };
  },
};

// Read anew at FLUSH SSL.
function tlsArguments(tls: ServiceTls | undefined): readonly string[] {
  if (tls === undefined) return [];
  const files = [`--ssl-cert=${tls.certificate}`, `--ssl-key=${tls.privateKey}`, '--tls-version=TLSv1.2,TLSv1.3'];
  return tls.mode === 'required' ? [...files, '--require-secure-transport=ON'] : files;
}

async function firstStart(context: ServiceInitContext, directory: string): Promise<void> {
  for (const name of await readdir(context.dataDirectory)) {
    if (name.startsWith('data.partial')) await rm(join(context.dataDirectory, name), { recursive: true, force: true });
  }
  context.progress('first start: creating the system tables');
  const install = await findProgram(context, 'mariadb-install-db');
  const partial = join(context.dataDirectory, 'data.partial');
  await mkdir(partial, { mode: 0o700 });
  await runOrFail(context, [
    install,
    '--no-defaults',
    `--datadir=${partial}`,
    '--auth-root-authentication-method=socket',
    '--skip-test-db',
    '--skip-name-resolve',
    '--innodb-use-native-aio=0',
  ]);
  // Everything is on the disk before the name says that it is complete.
  await runOrFail(context, [await findProgram(context, 'sync'), '-f', partial]);
  await rename(partial, directory);
  await runOrFail(context, [await findProgram(context, 'sync'), context.dataDirectory]);
}

async function runOrFail(context: ServiceInitContext, argv: readonly [string, ...string[]]): Promise<void> {
  const result = await run(argv, { check: false, ...(context.signal === undefined ? {} : { signal: context.signal }) });
  if (result.exitCode === 0) return;
  const program = argv[0].slice(argv[0].lastIndexOf('/') + 1);
  const lines = `${result.stdout}\n${result.stderr}`
    .split('\n')
    .filter((line) => /error|fail|space|denied/i.test(line))
    .slice(-3)
    .join(' ');
  throw new DevstackError({
    code: ServiceInitErrorCode.firstStartFailed,
    message: `${program} failed with exit code ${String(result.exitCode)}. ${lines}`.trim(),
    hint: 'Look at the free disk space ("docker system df"). The next start begins anew.',
    details: { program, exitCode: result.exitCode },
  });
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
