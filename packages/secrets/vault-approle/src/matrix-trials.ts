/** One thing that a role tries. */
export interface Trial {
  /** Whose path it is: a role, `sys`, `auth`, `own policy`, `other paths`. */
  readonly target: string;
  /** As Vault's API has it, without `v1/`. */
  readonly path: string;
  readonly operation: 'read' | 'list' | 'write';
  readonly expected: 'allowed' | 'denied';
  /** The request; none for what could do harm where it is allowed: that is judged by Vault's list of capabilities alone. */
  readonly method?: 'GET' | 'LIST' | 'POST' | 'PUT';
  /** Such that a request which is allowed still changes nothing. */
  readonly body?: Readonly<Record<string, unknown>>;
}

/** No secret has that many versions: a write that is allowed fails on it, and nothing is written. */
const harmlessWrite = { data: {}, options: { cas: 2_147_483_647 } };

/** Everything that a role is to try, given the names of all roles. */
export function trialsFor(
  role: string,
  roles: readonly string[],
  options: { readonly paths: readonly string[]; readonly hasNoSecret: boolean },
): readonly Trial[] {
  return [
    ...roles.flatMap((owner) => (owner === role && !options.hasNoSecret ? ownTrials(role) : foreignTrials(owner))),
    ...tokenTrials,
    ...sysTrials,
    ...authTrials,
    ...policyTrials(role),
    ...options.paths.flatMap((path) => [
      read('other paths', path),
      list('other paths', path),
      { target: 'other paths', path, operation: 'write', expected: 'denied' } as const,
    ]),
  ];
}

const read = (target: string, path: string, expected: Trial['expected'] = 'denied'): Trial => ({
  target,
  path,
  operation: 'read',
  expected,
  method: 'GET',
});
const list = (target: string, path: string): Trial => ({
  target,
  path,
  operation: 'list',
  expected: 'denied',
  method: 'LIST',
});
const write = (target: string, path: string, body: Readonly<Record<string, unknown>>): Trial => ({
  target,
  path,
  operation: 'write',
  expected: 'denied',
  method: 'POST',
  body,
});
/** What would do harm where it is allowed. */
const judgeWrite = (target: string, path: string): Trial => ({ target, path, operation: 'write', expected: 'denied' });

function ownTrials(role: string): readonly Trial[] {
  return [
    read(role, `secret/data/services/${role}`, 'allowed'),
    read(role, `secret/data/services/${role}/clients`, 'allowed'),
    write(role, `secret/data/services/${role}`, harmlessWrite),
    write(role, `secret/data/services/${role}/clients`, harmlessWrite),
    list(role, `secret/metadata/services/${role}`),
    judgeWrite(role, `secret/metadata/services/${role}`),
  ];
}

function foreignTrials(owner: string): readonly Trial[] {
  return [
    read(owner, `secret/data/services/${owner}`),
    read(owner, `secret/data/services/${owner}/clients`),
    read(owner, `secret/metadata/services/${owner}`),
    list(owner, `secret/metadata/services/${owner}`),
    write(owner, `secret/data/services/${owner}`, harmlessWrite),
    write(owner, `secret/data/services/${owner}/clients`, harmlessWrite),
    judgeWrite(owner, `secret/metadata/services/${owner}`),
    judgeWrite(owner, `secret/destroy/services/${owner}`),
    read(owner, `auth/approle/role/${owner}/role-id`),
    // Refused for what it asks where the policy lets it pass: no secret_id comes of it.
    write(owner, `auth/approle/role/${owner}/secret-id`, { cidr_list: ['not-a-network'] }),
  ];
}

/** What every role may do: end, renew and look at its own token. */
const tokenTrials: readonly Trial[] = [
  read('own token', 'auth/token/lookup-self', 'allowed'),
  {
    target: 'own token',
    path: 'auth/token/renew-self',
    operation: 'write',
    expected: 'allowed',
    method: 'POST',
    body: {},
  },
];

const sysTrials: readonly Trial[] = [
  list('sys', 'secret/metadata/services'),
  list('sys', 'secret/metadata'),
  read('sys', 'sys/mounts'),
  read('sys', 'sys/auth'),
  read('sys', 'sys/audit'),
  list('sys', 'sys/policies/acl'),
  read('sys', 'sys/config/auditing/request-headers'),
  // No more than its permission is asked for: the snapshot itself would be the whole of Vault.
  { target: 'sys', path: 'sys/storage/raft/snapshot', operation: 'read', expected: 'denied' },
  write('sys', 'sys/mounts/matrix-trial', { type: 'no-such-engine' }),
  write('sys', 'sys/audit/matrix-trial', { type: 'no-such-device' }),
  ...[
    'sys/seal',
    'sys/step-down',
    'sys/auth/approle',
    'sys/rekey/init',
    'sys/rotate',
    'sys/raw/core',
    'sys/storage/raft/snapshot',
    'sys/storage/raft/snapshot-force',
    'sys/leases/revoke-prefix/auth',
  ].map((path) => judgeWrite('sys', path)),
];

const authTrials: readonly Trial[] = [
  list('auth', 'auth/approle/role'),
  list('auth', 'auth/token/accessors'),
  judgeWrite('auth', 'auth/token/create-orphan'),
  judgeWrite('auth', 'auth/token/revoke-accessor'),
  // A token may not be made with a time to live that is not one.
  write('auth', 'auth/token/create', { ttl: 'not-a-time' }),
];

function policyTrials(role: string): readonly Trial[] {
  return [
    read('own policy', `sys/policies/acl/${role}`),
    // An empty policy is refused where the write is allowed.
    {
      target: 'own policy',
      path: `sys/policies/acl/${role}`,
      operation: 'write',
      expected: 'denied',
      method: 'PUT',
      body: { policy: '' },
    },
    read('own policy', `auth/approle/role/${role}`),
    // Nothing to change: Vault would complain of a bad value before it asks the policies.
    write('own policy', `auth/approle/role/${role}`, {}),
  ];
}
