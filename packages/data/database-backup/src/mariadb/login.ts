import { renderMyCnf } from '@devstack-core/credential-files';
import { putCredentialFile, type CredentialFile } from '../credential-file.ts';
import type { MariadbPlace } from './place.ts';

/** An option file with the login; its path has to be the first argument of every program (`--defaults-extra-file`). Throws PLACE_UNUSABLE. */
export function putLogin(place: MariadbPlace): Promise<CredentialFile> {
  return putCredentialFile(
    place,
    renderMyCnf({
      client: {
        user: place.username,
        ...(place.password === undefined ? {} : { password: place.password }),
        protocol: 'socket',
        socket: place.socket ?? '/run/mysqld/mysqld.sock',
        // The socket leaves the container's kernel nowhere; MySQL's own client has another name for it.
        'loose-ssl': 0,
      },
    }),
  );
}
