import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { renderAppIni, writeCredentialFiles, type AppIniSections } from '@devstack-core/credential-files';
import { DevstackError } from '@devstack-core/errors';
import { secret, type Secret } from '@devstack-core/redaction';
import { checkDataDirectory } from './data-directory.ts';
import { MarkedDatabase, postgresOf } from './database-marker.ts';
import { ServiceInitErrorCode } from './errors.ts';
import { findProgram } from './find-program.ts';
import { nameField, secretField } from './secret-fields.ts';
import type { PreparedService, ServiceInit, ServiceInitContext } from './service-init.ts';
import { postgresTrust, trustEnvironment } from './tls.ts';

/**
 * Forgejo, or Gitea in its place: the same settings and the same API. Tables and administrator are made before the server opens
 * its ports, at the first start and when a secret has changed; every other start makes one query and becomes the server.
 */
export const forgejoInit: ServiceInit = {
  engine: 'forgejo',
  async prepare(context): Promise<PreparedService> {
    await checkDataDirectory(context.dataDirectory);
    const server = await findProgram(context, context.settings['DEVSTACK_FORGEJO_PROGRAM'] ?? 'gitea');
    const config = join(context.credentialsDirectory, 'app.ini');
    await writeConfig(context, 'app.ini', {});

    await using database = await MarkedDatabase.open(context);
    if (!(await database.isApplied(context.versions))) {
      context.progress(
        (await database.read()) === undefined
          ? 'first start: creating the tables and the administrator'
          : 'applying changed credentials',
      );
      const { applyForgejoAdmin, loopbackPort } = await import('./forgejo-admin.ts');
      // The same server, for nobody but this container, where no health check looks.
      const loopback = await writeConfig(context, 'setup.ini', {
        server: {
          PROTOCOL: 'http',
          REDIRECT_OTHER_PORT: false,
          HTTP_ADDR: '127.0.0.1',
          HTTP_PORT: loopbackPort,
          LOCAL_ROOT_URL: `http://127.0.0.1:${String(loopbackPort)}/`,
          START_SSH_SERVER: false,
        },
      });
      await applyForgejoAdmin({ context, server, config: loopback });
      await database.write(context.versions, [nameField(context, 'username')]);
    }
    return {
      argv: [server, 'web', '--config', config, '--work-path', context.dataDirectory, ...context.arguments],
      env: { GITEA_WORK_DIR: context.dataDirectory, ...trustEnvironment(context) },
    };
  },
};

// The file of the configuration folder, then what is ours: of a key that stands twice, the last one counts.
async function writeConfig(context: ServiceInitContext, name: string, added: AppIniSections): Promise<string> {
  const path = join(context.configDirectory, 'app.ini');
  const common = await readFile(path, 'utf8').catch(() => {
    throw new DevstackError({
      code: ServiceInitErrorCode.settingInvalid,
      message: `The configuration ${path} cannot be read.`,
      hint: 'The compose file mounts configs/forgejo there.',
    });
  });
  const own = renderAppIni({
    ...secretSections(context),
    ...Object.fromEntries(
      Object.entries(added).map(([section, keys]) => [section, { ...secretSections(context)[section], ...keys }]),
    ),
  });
  await writeCredentialFiles({
    directory: context.credentialsDirectory,
    files: [{ name, content: secret(`${common}\n${own.reveal()}`) }],
  });
  return join(context.credentialsDirectory, name);
}

function secretSections(context: ServiceInitContext): AppIniSections {
  const { host, port } = postgresOf(context);
  return {
    server: {
      DOMAIN: 'localhost',
      ...webServer(context),
      SSH_DOMAIN: 'localhost',
      SSH_PORT: portSetting(context, 'DEVSTACK_FORGEJO_SSH_PORT', '2222'),
      LFS_JWT_SECRET: derived(context, 'lfs'),
    },
    database: {
      HOST: `${host}:${String(port)}`,
      NAME: nameField(context, 'postgres_database'),
      USER: nameField(context, 'postgres_username'),
      PASSWD: secretField(context, 'postgres_password'),
      ...(postgresTrust(context) === undefined ? {} : { SSL_MODE: 'verify-full' }),
    },
    security: {
      SECRET_KEY: secretField(context, 'secret_key'),
      INTERNAL_TOKEN: secretField(context, 'internal_token'),
    },
    oauth2: { JWT_SECRET: derived(context, 'oauth2') },
  };
}

// One server speaks one of the two: with TLS, its plain port only leads to the other, or is closed.
function webServer({ tls, ...context }: ServiceInitContext): AppIniSections[string] {
  if (tls === undefined) {
    const port = portSetting(context, 'DEVSTACK_FORGEJO_PORT', '3000');
    return { ROOT_URL: `http://localhost:${port}/`, LOCAL_ROOT_URL: 'http://127.0.0.1:3000/' };
  }
  const port = portSetting(context, 'DEVSTACK_FORGEJO_TLS_PORT', '3443');
  return {
    PROTOCOL: 'https',
    HTTP_PORT: 3443,
    CERT_FILE: tls.certificate,
    KEY_FILE: tls.privateKey,
    ROOT_URL: `https://localhost:${port}/`,
    LOCAL_ROOT_URL: 'https://127.0.0.1:3443/',
    ...(tls.mode === 'required' ? {} : { REDIRECT_OTHER_PORT: true, PORT_TO_REDIRECT: 3000 }),
  };
}

// These must be exactly 32 bytes in base64url; anything else is replaced by a random one that no other start would know.
function derived(context: ServiceInitContext, purpose: string): Secret {
  return secret(
    createHash('sha256')
      .update(`${purpose}:${secretField(context, 'jwt_secret').reveal()}`)
      .digest('base64url'),
  );
}

function portSetting(context: Pick<ServiceInitContext, 'settings'>, name: string, otherwise: string): string {
  const value = context.settings[name] ?? otherwise;
  if (/^\d{1,5}$/.test(value)) return value;
  throw new DevstackError({
    code: ServiceInitErrorCode.settingInvalid,
    message: `${name} is "${value}".`,
    hint: 'Write a port number.',
  });
}
