import { access, readdir, rename, rm, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { renderPgpass, writeCredentialFiles } from '@devstack-core/credential-files';
import { secret } from '@devstack-core/redaction';
import { isApplied, readAppliedVersions, writeAppliedVersions } from './applied-versions.ts';
import { checkDataDirectory } from './data-directory.ts';
import { findProgram } from './find-program.ts';
import { planName, planPostgres } from './postgres-sql.ts';
import { nameField, secretField } from './secret-fields.ts';
import type { PreparedService, ServiceInit, ServiceInitContext } from './service-init.ts';

/**
 * PostgreSQL. The data directory appears by one rename, complete with users and passwords, so a first start that was
 * killed leaves nothing but a `.partial` folder. Changed secrets are applied in single-user mode, before the server exists.
 */
export const postgresInit: ServiceInit = {
  engine: 'postgres',
  async prepare(context): Promise<PreparedService> {
    await checkDataDirectory(context.dataDirectory);
    const server = await findProgram(context, 'postgres');
    const cluster = join(context.dataDirectory, 'data');

    if (!(await exists(join(cluster, 'PG_VERSION')))) {
      await firstStart(context, server, cluster);
    } else if (!isApplied(await readAppliedVersions(cluster), planName, context.versions)) {
      context.progress('applying changed credentials');
      const { applyBatches, listDatabases } = await import('./postgres-single.ts');
      const existing = await listDatabases(context, server, cluster);
      await applyBatches(context, server, cluster, planPostgres(context, existing));
      await writeAppliedVersions(cluster, planName, context.versions);
    }

    await writeHealthFiles(context);
    return {
      argv: [
        server,
        '-D',
        cluster,
        `--config-file=${join(context.configDirectory, 'postgresql.conf')}`,
        ...tlsArguments(context),
        ...context.arguments,
      ],
      env: { PGDATA: cluster },
    };
  },
};

// Read anew at SIGHUP. A client that is not to be let in without TLS finds no line for it in the other pg_hba.
function tlsArguments({ tls, configDirectory }: ServiceInitContext): readonly string[] {
  if (tls === undefined) return [];
  const settings = { ssl: 'on', ssl_cert_file: tls.certificate, ssl_key_file: tls.privateKey };
  const hba = tls.mode === 'required' ? { hba_file: join(configDirectory, 'pg_hba.tls-required.conf') } : {};
  return Object.entries({ ...settings, ...hba }).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
}

async function firstStart(context: ServiceInitContext, server: string, cluster: string): Promise<void> {
  // A cluster directory without PG_VERSION is never ours to judge: initdb's own check would refuse it as well.
  for (const name of await readdir(context.dataDirectory)) {
    if (name.startsWith('data.partial')) await rm(join(context.dataDirectory, name), { recursive: true, force: true });
  }
  context.progress('first start: creating the database cluster');
  const { applyBatches, initialize, synchronize } = await import('./postgres-single.ts');
  const partial = join(context.dataDirectory, 'data.partial');
  await mkdir(partial, { mode: 0o700 });
  await initialize(context, partial, nameField(context, 'username'));
  await applyBatches(context, server, partial, planPostgres(context, ['postgres', 'template0', 'template1']));
  await writeAppliedVersions(partial, planName, context.versions);
  await synchronize(context, partial);
  await rename(partial, cluster);
  await synchronizeDirectory(context.dataDirectory);
}

// The health check logs in as the service's own user, over the socket.
async function writeHealthFiles(context: ServiceInitContext): Promise<void> {
  const username = nameField(context, 'username');
  const database = nameField(context, 'database');
  const pgpass = join(context.credentialsDirectory, 'pgpass');
  await writeCredentialFiles({
    directory: context.credentialsDirectory,
    files: [
      { name: 'pgpass', content: renderPgpass([{ username, password: secretField(context, 'password') }]) },
      {
        name: 'pg_service.conf',
        content: secret(
          `[health]\nhost=/run/postgresql\nuser=${username}\ndbname=${database}\npassfile=${pgpass}\nconnect_timeout=3\napplication_name=health\n`,
        ),
      },
    ],
  });
}

async function synchronizeDirectory(directory: string): Promise<void> {
  const { open } = await import('node:fs/promises');
  await using handle = await open(directory, 'r');
  await handle.sync();
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
