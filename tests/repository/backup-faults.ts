// The fault matrix of backups: what is done wrong to what, and the test that shows what comes of it. The page docs/reference/backup-faults.md is
// made of this by a test, which also looks that every test that is named here exists.

export const operations = ['create', 'rotate', 'verify', 'restore', 'recover'] as const;
export type Operation = (typeof operations)[number];

/** A test that shows what comes of a fault. */
export interface Proof {
  /** From the root of the checkout. */
  readonly file: string;
  /** Its title, as its file has it; `%s` stands for the cases of a table. */
  readonly test: string;
  /** Which case of the table. */
  readonly case?: string;
}

/** One cell: the proofs, or why there is nothing to prove. */
export type Cell = readonly Proof[] | { readonly doesNotApply: string };

export interface Fault {
  readonly name: string;
  /** What must come of it, in a few words. */
  readonly outcome: string;
  readonly cells: Readonly<Record<Operation, Cell>>;
}

const data = 'packages/data';
const files = {
  damaged: `${data}/stack-backup/src/damaged-sets.test.ts`,
  clock: `${data}/stack-backup/src/wrong-clock.test.ts`,
  signals: `${data}/stack-backup/src/signals.test.ts`,
  diskFull: `${data}/stack-backup/src/disk-full.test.ts`,
  restoreKilled: `${data}/stack-backup/src/restore-killed.integration.test.ts`,
  decrypt: `${data}/stack-backup/src/create.test.ts`,
  twoAtOnce: `${data}/stack-backup/src/two-at-once.test.ts`,
  oldStack: `${data}/stack-backup/src/old-stack.test.ts`,
  configuration: `${data}/stack-backup/src/configuration-step.test.ts`,
  storeKilled: `${data}/backup-store/src/kill.integration.test.ts`,
  storeDamage: `${data}/backup-store/src/damage.test.ts`,
  storeFull: `${data}/backup-store/src/disk-full.test.ts`,
  store: `${data}/backup-store/src/store.test.ts`,
  rotate: `${data}/backup-store/src/rotate.test.ts`,
  rotation: `${data}/backup-rotation/src/vectors.test.ts`,
  artifact: `${data}/backup-crypto/src/damage.test.ts`,
  process: `${data}/backup-crypto/src/process.test.ts`,
  recoverKilled: `${data}/disaster-recovery/src/killed.test.ts`,
  recover: `${data}/disaster-recovery/src/recover.test.ts`,
  drill: `${data}/disaster-recovery/src/drill.test.ts`,
  verifySet: `${data}/backup-verification/src/verify-set.test.ts`,
  throwaway: `${data}/database-backup/src/throwaway.integration.test.ts`,
  postgres: `${data}/database-backup/src/postgres/faults.integration.test.ts`,
  postgresWork: `${data}/database-backup/src/postgres/postgres.integration.test.ts`,
  mariadb: `${data}/database-backup/src/mariadb/faults.integration.test.ts`,
  mongo: `${data}/database-backup/src/mongo/faults.integration.test.ts`,
  redis: `${data}/database-backup/src/redis/redis.integration.test.ts`,
  rabbitmq: `${data}/database-backup/src/rabbitmq/rabbitmq.integration.test.ts`,
  volume: `${data}/database-backup/src/volume/volume.integration.test.ts`,
  filesSource: `${data}/database-backup/src/files/files-adapter.test.ts`,
  safePath: `${data}/database-backup/src/files/safe-path.test.ts`,
  tar: `${data}/backup-verification/src/parsers/parsers.test.ts`,
  asks: 'apps/devstack-cli/src/commands/backup/restore.test.ts',
} as const;

function proof(file: keyof typeof files, test: string, case_?: string): Proof {
  return { file: files[file], test, ...(case_ === undefined ? {} : { case: case_ }) };
}

const damagedTests: Readonly<Record<Operation, string>> = {
  create: 'beside a set with %s makes a complete one, or none upon it',
  rotate: 'never counts on a set with %s once that is known, and loses nothing before',
  verify: 'says of a set with %s what is wrong with it',
  restore: 'of a set with %s is refused, and what is there stays',
  recover: 'passes a set with %s by, and refuses it by name',
};

/** A fault of a set: the newer of two is damaged, and each operation meets it. */
function damaged(name: string, case_: string, more: Partial<Record<Operation, readonly Proof[]>> = {}): Fault {
  const cell = (operation: Operation): Cell => [
    proof('damaged', damagedTests[operation], case_),
    ...(more[operation] ?? []),
  ];
  return {
    name,
    outcome: 'named; nothing of it is used, the older set is as good as before',
    cells: {
      create: cell('create'),
      rotate: cell('rotate'),
      verify: cell('verify'),
      restore: cell('restore'),
      recover: cell('recover'),
    },
  };
}

const flipped = 'is found at both levels, and nothing of it is released';

const readsSets = 'reads finished sets only: no database of the stack is dumped meanwhile';
const movesFolders = 'moves folders of finished sets: no database takes part';

/** The matrix. */
export const faults: readonly Fault[] = [
  {
    name: 'kill -9',
    outcome:
      'the sets, and what the engine holds, are those of before or the complete new ones; the next command sweeps',
    cells: {
      create: [
        proof('storeKilled', 'at %s, %i: the sets of before, or one more'),
        proof('signals', 'of a backup at "%s" leaves no set, nothing in clear, and nothing after the next one'),
        proof('mariadb', 'that is cut off when it has %s leaves no program behind'),
      ],
      rotate: [
        proof('storeKilled', 'at %s, %i: each set is there, or can be had back'),
        proof('storeKilled', 'at %s, %i: what is half gone cannot be had back'),
      ],
      verify: [
        proof('signals', 'of a verification at "%s" changes no set, and the next one says the same'),
        proof(
          'throwaway',
          'of a process that was killed is swept, running or not, with its volume, and what it had paused goes on',
        ),
      ],
      restore: [
        proof('restoreKilled', 'is the old or the new database, whole, wherever the restore is killed'),
        proof('signals', 'of a restore at "%s" leaves each part as it was or as in the set, and the next one ends it'),
        proof('mariadb', 'that is killed at each kind of step leaves the old or the new, whole'),
        proof('mongo', 'that is killed at any message leaves the old or the new, whole'),
        proof(
          'process',
          'leaves its plain text in a private folder only, which is swept when it is gone and not before',
        ),
        proof('decrypt', 'takes away what a killed one has left, whatever it is asked for'),
      ],
      recover: [
        proof('recoverKilled', 'leads to the complete new state on resume'),
        proof('recoverKilled', 'leads back to the previous state where a step fails for good'),
        proof('oldStack', 'survives kill -9 of its process at each kind of change'),
      ],
    },
  },
  {
    name: 'SIGTERM',
    outcome: 'what was begun is given back, exit 130; a rotation comes to its end; a recovery is gone on from',
    cells: {
      create: [
        proof('signals', 'to a backup at "%s" leaves no half of a set'),
        proof('postgres', 'as it is stopped by its user'),
      ],
      rotate: [proof('signals', 'to a rotation at "%s" lets it come to its end')],
      verify: [
        proof('signals', 'to a verification at "%s" records nothing'),
        proof('verifySet', 'stops when it is told to, and records nothing'),
      ],
      restore: [
        proof('signals', 'to a restore at "%s" leaves each part as it was or as in the set'),
        proof('mariadb', 'that is aborted leaves what there was'),
        proof('mongo', 'that is aborted leaves what there was'),
      ],
      recover: [
        proof('signals', 'to a recovery at "%s" is gone on from by the next'),
        proof('recover', 'ends in the previous state or in the complete new one'),
      ],
    },
  },
  {
    name: 'disk full',
    outcome: 'one clear error, nothing changed; all goes on when there is space',
    cells: {
      create: [
        proof(
          'storeFull',
          'on a full disk the sets of before stay whole, nothing of the new one is left, and all goes on when there is space',
        ),
        proof('storeFull', 'a limit for the size of files is the same'),
        proof('store', 'is refused where the space is not enough for another one like the last'),
      ],
      rotate: [
        proof(
          'storeFull',
          'on a full disk the sets of before stay whole, nothing of the new one is left, and all goes on when there is space',
        ),
      ],
      verify: [
        proof(
          'diskFull',
          'on a full disk nothing is changed or lost, every failure is told, and all goes on when there is space',
        ),
      ],
      restore: [
        proof(
          'diskFull',
          'on a full disk nothing is changed or lost, every failure is told, and all goes on when there is space',
        ),
        proof('process', 'is one clear error, after which nothing is left and all works again'),
      ],
      recover: [
        proof(
          'diskFull',
          'on a full disk nothing is changed or lost, every failure is told, and all goes on when there is space',
        ),
      ],
    },
  },
  damaged('bit flip in the header of an artifact', 'a bit of the header flipped', {
    verify: [proof('artifact', 'anywhere in the header is found, with and without expectations')],
    restore: [proof('storeDamage', `%s ${flipped}`, 'a bit of the header flipped')],
  }),
  damaged('bit flip in the body of an artifact', 'a bit of the body flipped', {
    verify: [
      proof('artifact', 'in the body is found'),
      proof('storeDamage', 'by a bit anywhere in any file of the set is found, without exception'),
    ],
    restore: [proof('storeDamage', `%s ${flipped}`, 'a bit of the body flipped')],
  }),
  damaged('bit flip in the MDC of an artifact', 'a bit of the MDC flipped', {
    verify: [proof('artifact', 'in the modification detection code is found')],
    restore: [proof('storeDamage', `%s ${flipped}`, 'a bit of the MDC flipped')],
  }),
  damaged('bit flip in the manifest', 'a bit of the manifest flipped', {
    verify: [proof('storeDamage', 'by a bit anywhere in any file of the set is found, without exception')],
  }),
  damaged('truncation to nothing', 'an artifact cut to nothing', {
    verify: [proof('artifact', 'of %s is told', 'everything')],
    restore: [proof('storeDamage', `%s ${flipped}`, 'cut to nothing')],
  }),
  damaged('truncation to one byte', 'an artifact cut to one byte', {
    verify: [proof('artifact', 'of %s is told', 'all but a byte')],
    restore: [proof('storeDamage', `%s ${flipped}`, 'cut to one byte')],
  }),
  damaged('truncation to a half', 'an artifact cut in half', {
    verify: [proof('artifact', 'of %s is told', 'a half')],
    restore: [proof('storeDamage', `%s ${flipped}`, 'cut in half')],
  }),
  damaged('truncation by one byte', 'an artifact short of its last byte', {
    verify: [proof('artifact', 'of %s is told', 'the last byte')],
    restore: [proof('storeDamage', `%s ${flipped}`, 'short of its last byte')],
  }),
  damaged('appended bytes', 'bytes appended to an artifact', {
    verify: [proof('artifact', '%s is told', 'a packet that every program skips')],
    restore: [proof('storeDamage', `%s ${flipped}`, 'with 16 bytes appended')],
  }),
  damaged('artifacts swapped between sets', 'an artifact of the older set in its place', {
    verify: [
      proof('storeDamage', 'an artifact of another set is called swapped, and not opened'),
      proof('storeDamage', 'two artifacts of one set are called swapped'),
    ],
  }),
  damaged('an older set replayed', 'the older set in its place', {
    verify: [
      proof(
        'storeDamage',
        'an older set under the name of a newer one is called replayed, also where there is no catalog',
      ),
      proof(
        'storeDamage',
        'another set of the same id is called replayed by the catalog, and by the set that came after it',
      ),
      proof('storeDamage', 'a set from before the passphrase was changed is called replayed'),
    ],
  }),
  ...(['a year ahead', 'a year behind'] as const).map((case_): Fault => ({
    name: `clock ${case_}`,
    outcome: 'the order is that of the numbers; nothing is removed, nothing else is chosen',
    cells: {
      create: [
        proof('clock', 'that is %s makes a set that is the newest all the same, also when it is right again', case_),
        proof('store', 'a set made while the clock was wrong by %i days stands in no other’s way'),
      ],
      rotate: [
        proof('clock', 'that is %s while sets are rotated leaves the newest', case_),
        proof('rotate', 'with a clock that is wrong by %i days keeps the newest'),
        proof('rotation', 'a machine whose clock is a year behind removes nothing, one a year ahead keeps the same'),
      ],
      verify: [proof('clock', 'that is %s changes no verdict', case_)],
      restore: [proof('clock', 'that is %s restores what was asked for', case_)],
      recover: [proof('clock', 'that is %s recovers from the newest, and no point in time is yet to come', case_)],
    },
  })),
  {
    name: 'DST days',
    outcome: 'each set has a name of its own and its place in the order; a day of 23 or 25 hours is one day',
    cells: {
      create: [
        proof('clock', '%s gives each set a name of its own, in order; verified, restored and recovered is the later'),
      ],
      rotate: [
        proof('rotation', '02:30 twice in one night is one day, and the later one by UTC stays'),
        proof('rotation', 'a day of 23 or 25 hours is one day (%s)'),
      ],
      verify: [
        proof('clock', '%s gives each set a name of its own, in order; verified, restored and recovered is the later'),
      ],
      restore: [
        proof('clock', '%s gives each set a name of its own, in order; verified, restored and recovered is the later'),
      ],
      recover: [
        proof('clock', '%s gives each set a name of its own, in order; verified, restored and recovered is the later'),
      ],
    },
  },
  {
    name: 'wrong passphrase',
    outcome: 'told apart from damage; nothing is removed, released or changed',
    cells: {
      create: [proof('clock', 'makes a set of its own, upon none of the others, and harms none')],
      rotate: [
        proof('clock', 'removes nothing'),
        proof('rotate', 'removes nothing that it cannot prove: without the passphrase, and sets without encryption'),
      ],
      verify: [
        proof('clock', 'is told apart from damage, and is no verdict on the set'),
        proof(
          'artifact',
          'is never taken for damage of a good file, even where it passes the first check (one of 128 does)',
        ),
      ],
      restore: [proof('clock', 'restores nothing, and what is there stays')],
      recover: [proof('clock', 'recovers nothing, and what is there stays')],
    },
  },
  {
    name: 'database stopped mid-way',
    outcome: 'no set of half a dump; a restore leaves what there was',
    cells: {
      create: [
        proof('postgres', 'as the server is stopped, or its container'),
        proof('mariadb', 'fails when the server goes away in the middle'),
        proof('mongo', 'fails when the server goes away in the middle'),
        proof('redis', 'that loses its data folder midway makes no backup, and files of killed runs are swept'),
      ],
      rotate: { doesNotApply: movesFolders },
      verify: [
        proof('verifySet', 'gives up what hangs, and leaves nothing of it'),
        proof('throwaway', 'that ends, or is never ready, is told with the end of its log, and removed'),
      ],
      restore: [
        proof(
          'restoreKilled',
          'is the old database where the server is killed in the middle, and the next restore ends it',
        ),
      ],
      recover: [proof('recover', 'puts everything back when the step %s fails')],
    },
  },
  {
    name: 'schema changed mid-dump',
    outcome: 'the dump is of one moment, or there is none',
    cells: {
      create: [
        proof('postgresWork', 'keeps its structure until the dump is through, and may be written to'),
        proof('mariadb', 'fails when %s is changed while it is at work'),
        proof('mongo', 'fails when collections or indexes are changed while nobody holds them still'),
        proof('redis', 'is not dumped while slots move, or by half of its nodes, and not restored from half a file'),
        proof('rabbitmq', 'that is published to meanwhile, or has consumers, is called approximate'),
        proof('volume', 'that a program writes to is approximate, and one that changes under tar makes no backup'),
      ],
      rotate: { doesNotApply: movesFolders },
      verify: { doesNotApply: readsSets },
      restore: { doesNotApply: 'dumps nothing: what is restored replaces whatever schema there is' },
      recover: {
        doesNotApply: 'dumps nothing: the services that it starts are its own, and nobody else uses them yet',
      },
    },
  },
  {
    name: 'two at once',
    outcome: 'the second is told who is at it',
    cells: {
      create: [proof('store', 'two at once: the second is told who is at it')],
      rotate: [proof('rotate', 'waits for nobody: while a backup is being made it is refused')],
      verify: { doesNotApply: 'changes nothing but its own notes, which are appended one after another' },
      restore: [
        proof(
          'twoAtOnce',
          'a backup or a restore while another one is at work is told who that is, and touches nothing',
        ),
      ],
      recover: [proof('drill', 'cannot be: the second is told who is at it')],
    },
  },
  {
    name: 'a symlink or .. in an archive',
    outcome: 'nothing outside is read, written or removed',
    cells: {
      create: [
        proof('filesSource', 'that no restore would take make no backup, and sockets are no data'),
        proof('safePath', 'are restored from what stays inside'),
      ],
      rotate: [proof('storeDamage', 'are never followed, for an artifact, a manifest, a set or a folder of the store')],
      verify: [
        proof('storeDamage', 'that is proved and leads out of its folder is refused all the same'),
        proof('tar', 'is refused when a name %s', 'leads up'),
      ],
      restore: [proof('volume', 'is not filled from an archive that reaches outside')],
      recover: [proof('filesSource', 'are not restored from an archive that reaches outside')],
    },
  },
  damaged('a set of a newer format', 'a manifest of a newer format', {
    verify: [proof('storeDamage', 'of a newer format is called that, whatever else is in it')],
  }),
  {
    name: 'a stack that holds something',
    outcome: 'is asked about first; without a terminal, and without --yes or --force, nothing happens',
    cells: {
      create: { doesNotApply: 'changes nothing of the stack' },
      rotate: { doesNotApply: 'does not touch the stack' },
      verify: { doesNotApply: 'restores into throwaway containers' },
      restore: [proof('asks', 'asks before it replaces anything, and without an answer nothing is touched')],
      recover: [proof('recover', 'changes nothing when the plan is not confirmed')],
    },
  },
];
