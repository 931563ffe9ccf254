import { DatabaseBackupErrorCode } from '../errors.ts';
import { mariadbFailure } from './failure.ts';
import type { MariadbPlace } from './place.ts';

/** What the server's own image has: MariaDB's names first, MySQL's otherwise. */
export interface MariadbPrograms {
  readonly client: string;
  readonly dump: string;
  readonly check: string;
}

const names = {
  client: ['mariadb', 'mysql'],
  dump: ['mariadb-dump', 'mysqldump'],
  check: ['mariadb-check', 'mysqlcheck'],
};

/** Looks for them in the container. Throws PLACE_UNUSABLE. */
export async function findPrograms(place: MariadbPlace): Promise<MariadbPrograms> {
  const script = Object.values(names)
    .map((pair) => `{ ${pair.map((name) => `command -v ${name}`).join(' || ')} || echo; }`)
    .join('; ');
  const { stdout, stderr, exitCode } = await place.docker.exec(place.container, ['sh', '-c', script]);
  if (exitCode !== 0) throw unusable('cannot be run in', place, stderr);
  const [client = '', dump = '', check = ''] = stdout.split('\n');
  const missing = Object.entries({ client, dump, check }).find(([, path]) => path === '')?.[0];
  if (missing !== undefined)
    throw unusable(`(${names[missing as keyof typeof names].join(' or ')}) are missing in`, place);
  return { client, dump, check };
}

function unusable(what: string, place: MariadbPlace, said = ''): Error {
  return mariadbFailure(
    DatabaseBackupErrorCode.placeUnusable,
    `The programs of the server ${what} container ${place.container}`,
    said,
    'Bring the images up to date and start the service again: devstack images build, devstack up',
  );
}
