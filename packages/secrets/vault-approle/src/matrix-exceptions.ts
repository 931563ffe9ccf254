import type { Trial } from './matrix-trials.ts';

/** Something that a role may do though others may not, and why. */
export interface LeastPrivilegeException {
  readonly role: string;
  readonly reason: string;
  /** Whether the role has no secret of its own, so that it need not be able to read one. */
  readonly hasNoSecret?: boolean;
  /** Whether it covers this try, which was allowed though it should not have been. */
  readonly allows: (trial: Trial, role: string) => boolean;
}

const reads =
  (owners: readonly string[], more: readonly string[] = []) =>
  (trial: Trial): boolean =>
    trial.operation === 'read' &&
    (owners.some((owner) => trial.path === `secret/data/services/${owner}`) || more.includes(trial.path));

/** The stack's own exceptions. Everything else that a role can do beyond its own paths is a violation. */
export const leastPrivilegeExceptions: readonly LeastPrivilegeException[] = [
  {
    role: 'operator',
    reason: 'the person in front of the stack shows and rotates every credential, and issues secret_ids',
    hasNoSecret: true,
    allows: ({ path, operation }) =>
      /^secret\/data\/services\/[^/]+(\/clients)?$/.test(path) ||
      (path === 'secret/metadata/services' && operation === 'list') ||
      /^auth\/approle\/role\/[^/]+\/(role-id|secret-id)$/.test(path),
  },
  {
    role: 'backup',
    reason: 'a backup dumps every engine with data, and Vault itself as an encrypted snapshot',
    allows: reads(['postgres', 'mysql', 'mongodb', 'redis', 'rabbitmq', 'forgejo'], ['sys/storage/raft/snapshot']),
  },
  {
    role: 'migrate',
    reason: 'migrations change the schemas of the databases',
    allows: reads(['postgres', 'mysql', 'mongodb']),
  },
];
