import { reportKills } from './lib/kill-tests.ts';

// Soak: recoveries, forwards and backwards, killed at every line of the journal and every change of the world; and what puts an old stack aside.

await reportKills('Soak: recover, killed at each line of its journal and each change', {
  files: [
    'packages/data/disaster-recovery/src/killed.test.ts',
    'packages/data/stack-backup/src/old-stack.test.ts',
    'packages/data/stack-backup/src/signals.test.ts',
  ],
  project: 'unit',
  rounds: 3,
});
