import { DevstackError } from '@devstack-core/errors';
import { DatabaseBackupErrorCode } from '../errors.ts';
import type { EngineIdentity, StoredPart } from '../types.ts';
import type { MariadbPlace } from './place.ts';
import type { MariadbSession } from './session.ts';

/** The server as it tells itself. */
export async function identify(place: MariadbPlace, session: MariadbSession): Promise<EngineIdentity> {
  const [row] = await session.query('SELECT VERSION()');
  const told = row?.[0] ?? '';
  const { imageName, imageId } = await place.docker.inspectContainer(place.container);
  return {
    name: told.includes('MariaDB') ? 'mariadb' : 'mysql',
    version: /^[\d.]+/.exec(told)?.[0] ?? told,
    image: { name: imageName, id: imageId },
  };
}

/** Throws ENGINE_MISMATCH where this server is another engine than the part's, or an older release series. */
export function refuseOtherEngine(part: StoredPart, here: EngineIdentity): void {
  const { name, version } = part.engine;
  if (here.name === name && !isOlder(here.version, version)) return;
  throw new DevstackError({
    code: DatabaseBackupErrorCode.engineMismatch,
    message: `${part.kind} "${part.name}" was written by ${name} ${version}; this server is ${here.name} ${here.version}.`,
    hint:
      here.name === name
        ? 'A dump of a newer server may hold what an older one cannot read: bring the server up to date.'
        : 'Restore it into the engine that it came from, and move the data with a tool that converts.',
    details: { expected: `${name} ${version}`, actual: `${here.name} ${here.version}` },
  });
}

// The first two numbers are the release series; the third changes no format.
function isOlder(here: string, there: string): boolean {
  const [major = 0, minor = 0] = numbers(here);
  const [otherMajor = 0, otherMinor = 0] = numbers(there);
  return major < otherMajor || (major === otherMajor && minor < otherMinor);
}

function numbers(version: string): readonly number[] {
  return version.split('.').map(Number);
}
