import { randomBytes } from 'node:crypto';
import type { DockerEngine } from '@devstack-core/docker-engine';
import { Secret } from '@devstack-core/redaction';
import type { Throwaway } from '../../types.ts';
import { mariadbAdapter } from '../adapter.ts';
import type { MariadbPlace } from '../place.ts';

export const image = 'devstack/mysql:local';
export const labels = { 'io.devstack.test': 'database-backup-mariadb' };

/** A server with an account that logs in with a password full of what option files treat in a special way. */
export interface TestServer extends Throwaway<MariadbPlace> {
  /** What must be in no argument and no environment. */
  readonly canary: string;
  /** The same server by its administrator, who needs no password. */
  readonly admin: MariadbPlace;
}

export async function startServer(docker: DockerEngine): Promise<TestServer> {
  const admin = await mariadbAdapter.throwaway({ docker, image, labels });
  const canary = randomBytes(12).toString('hex');
  const password = `${canary}#\\"'; \`ü`;
  const hex = Buffer.from(password).toString('hex');
  try {
    await run(
      admin,
      `EXECUTE IMMEDIATE CONCAT('CREATE USER keeper@localhost IDENTIFIED BY ', QUOTE(CONVERT(0x${hex} USING utf8mb4))); GRANT ALL ON *.* TO keeper@localhost WITH GRANT OPTION`,
    );
  } catch (error) {
    await admin[Symbol.asyncDispose]();
    throw error;
  }
  return { ...admin, admin, canary, username: 'keeper', password: new Secret(password) };
}

/** Runs statements and gives what they print. */
export async function run(place: MariadbPlace, sql: string): Promise<string> {
  const { exitCode, stdout, stderr } = await place.docker.exec(
    place.container,
    ['mariadb', '--no-defaults', `--socket=${place.socket ?? ''}`, '--default-character-set=utf8mb4', '-N'],
    { stdin: sql },
  );
  if (exitCode !== 0) throw new Error(stderr);
  return stdout.trim();
}
