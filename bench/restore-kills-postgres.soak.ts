import { reportKills } from './lib/kill-tests.ts';

// Soak: a restore into a running PostgreSQL, killed at every program that it starts and everything that it writes to one.

await reportKills('Soak: a restore into PostgreSQL, killed at each step', {
  files: ['packages/data/stack-backup/src/restore-killed.integration.test.ts'],
  project: 'integration',
  rounds: 3,
});
