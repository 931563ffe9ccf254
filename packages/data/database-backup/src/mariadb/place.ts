import type { Place } from '../types.ts';

/** A container that runs MariaDB or MySQL, and which of its databases a backup is about. The login goes over the server's own socket. */
export interface MariadbPlace extends Place {
  /** `/run/mysqld/mysqld.sock` unless given. */
  readonly socket?: string;
  /** Only these; all but the system's own unless given. */
  readonly databases?: readonly string[];
  /** Not these: databases that something else in the set owns. */
  readonly excludeDatabases?: readonly string[];
  /** Accounts that belong to the installation and are neither backed up nor touched, as `user@host`; `systemAccounts` unless given. */
  readonly excludeAccounts?: readonly string[];
}

/** Never dumped, never restored. */
export const systemDatabases: readonly string[] = ['information_schema', 'mysql', 'performance_schema', 'sys'];

/** How the databases begin that a restore works in. */
export const workPrefix = 'devstack_restore_';

/** Made by the installation or at each start of the server; their passwords are not data. */
export const systemAccounts: readonly string[] = [
  'root@localhost',
  'mysql@localhost',
  'mariadb.sys@localhost',
  'mysql.sys@localhost',
  'mysql.session@localhost',
  'mysql.infoschema@localhost',
  'healthcheck@localhost',
  'healthcheck@127.0.0.1',
  'healthcheck@::1',
  'devstack_health@127.0.0.1',
];
