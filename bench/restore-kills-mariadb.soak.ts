import { reportKills } from './lib/kill-tests.ts';

// Soak: a restore into a running MariaDB, cut off from it at every program that it starts and everything that it writes to one.

await reportKills('Soak: a restore into MariaDB, cut off at each step', {
  files: ['packages/data/database-backup/src/mariadb/faults.integration.test.ts'],
  project: 'integration',
  rounds: 3,
  named: 'a restore',
});
