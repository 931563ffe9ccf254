import { reportKills } from './lib/kill-tests.ts';

// Soak: create, rotate, the change of the passphrase and copies, killed at every step of the store, and at any time in between.

await reportKills('Soak: create and rotate, killed at each step', {
  files: ['packages/data/backup-store/src/kill.integration.test.ts'],
  project: 'integration',
  rounds: 3,
});
