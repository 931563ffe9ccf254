import { DevstackError } from '@devstack-core/errors';
import type { PostgresPlace, StoredPart } from '@devstack-core/database-backup';
import type { DockerEngine } from '@devstack-core/docker-engine';
import { Secret } from '@devstack-core/redaction';

/** In no file that outlives a restore. */
export const canary = 'a-password-that-nobody-else-may-read';
const socket = '/run/devstack-backup';

/** The databases of these tests in a throwaway server, which asks for no password; that one is given all the same leaves a file to be swept. */
export function placeIn(docker: DockerEngine, container: string): PostgresPlace {
  return {
    docker,
    container,
    username: 'devstack-backup-throwaway',
    password: new Secret(canary),
    scratch: '/run/credentials',
    host: socket,
    databases: ['kept'],
  };
}

/** Runs statements and gives what they print. */
export async function psql(
  { docker, container, username }: PostgresPlace,
  database: string,
  sql: string,
): Promise<string> {
  const argv: [string, ...string[]] = [
    'psql',
    '-XAtq',
    '-v',
    'ON_ERROR_STOP=1',
    '-h',
    socket,
    '-U',
    username,
    '-d',
    database,
    '-f',
    '-',
  ];
  const { exitCode, stdout, stderr } = await docker.exec(container, argv, { stdin: sql });
  if (exitCode !== 0) throw new Error(stderr);
  return stdout.trim();
}

/** The control: straight over what is there, table by table. */
export async function restoreTorn(
  place: PostgresPlace,
  part: StoredPart,
  content: AsyncIterable<Uint8Array>,
): Promise<void> {
  if (part.name !== 'kept') return;
  const argv: [string, ...string[]] = [
    'pg_restore',
    '--clean',
    '--if-exists',
    '-h',
    socket,
    '-U',
    place.username,
    '-d',
    part.name,
  ];
  const program = await place.docker.execStream(place.container, argv, { stdin: content });
  for await (const _ of program.stdout);
  const { exitCode, stderr } = await program.ended;
  if (exitCode !== 0) throw new DevstackError({ code: 'RESTORE_FAILED', message: stderr });
}
