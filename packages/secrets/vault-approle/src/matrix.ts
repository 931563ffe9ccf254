import type { VaultClient } from '@devstack-core/vault-client';
import { isDevstackError } from '@devstack-core/errors';
import { defaultConcurrency, type RoleDefinition } from './definitions.ts';
import { mapLimited } from './each.ts';
import { leastPrivilegeExceptions, type LeastPrivilegeException } from './matrix-exceptions.ts';
import { trialsFor, type Trial } from './matrix-trials.ts';

/** What came of one try. */
export interface MatrixCell extends Trial {
  readonly role: string;
  readonly observed: 'allowed' | 'denied' | 'unclear';
  /** Vault's own list of what the role may do at the path; empty where it was not asked. */
  readonly capabilities: readonly string[];
  readonly verdict: 'as-expected' | 'exception' | 'violation';
  /** Why an exception is one, or what is wrong. */
  readonly note?: string;
}

/** Every role against everything. */
export interface LeastPrivilegeMatrix {
  readonly rows: readonly MatrixCell[];
  readonly violations: readonly MatrixCell[];
  readonly exceptions: readonly MatrixCell[];
}

/** What to try, and as whom. */
export interface MatrixOptions {
  /** Makes a short-lived token for each role and asks for its capabilities: the root token, or one that may. */
  readonly client: VaultClient;
  /** A client that is logged in as the role, instead of a token made from `client`. */
  readonly clientFor?: (role: string) => Promise<VaultClient>;
  readonly roles: readonly (string | Pick<RoleDefinition, 'role'>)[];
  /** More paths that nobody may use, as Vault's API has them: `secret/data/private`. */
  readonly paths?: readonly string[];
  readonly exceptions?: readonly LeastPrivilegeException[];
  readonly concurrency?: number;
}

/** A row for a table: one role against one owner's paths. */
export interface MatrixRow {
  readonly role: string;
  readonly target: string;
  readonly read: string;
  readonly list: string;
  readonly write: string;
}

/**
 * Tries each role against its own paths (must be allowed), every other role's (read, list, write), `sys/`, `auth/` and its own policy (must be
 * denied), by real requests that change nothing even where they are allowed, and compares that with Vault's own list of capabilities.
 */
export async function leastPrivilegeMatrix(options: MatrixOptions): Promise<LeastPrivilegeMatrix> {
  const roles = options.roles.map((role) => (typeof role === 'string' ? role : role.role));
  const exceptions = options.exceptions ?? leastPrivilegeExceptions;
  const rows: MatrixCell[] = [];
  for (const role of roles) {
    const trials = trialsFor(role, roles, {
      paths: options.paths ?? [],
      hasNoSecret: exceptions.some((exception) => exception.role === role && exception.hasNoSecret === true),
    });
    const { client, capabilities, end } = await become(options, role, trials);
    try {
      const cells = await mapLimited(trials, options.concurrency ?? defaultConcurrency, async (trial) =>
        judged(role, trial, await attempt(client, trial), capabilities?.get(trial.path), exceptions),
      );
      rows.push(...cells);
    } finally {
      await end();
    }
  }
  return {
    rows,
    violations: rows.filter((cell) => cell.verdict === 'violation'),
    exceptions: rows.filter((cell) => cell.verdict === 'exception'),
  };
}

/** The matrix with one row for each role and owner: `denied`, `allowed`, and `VIOLATION` or `exception` where it applies. */
export function matrixRows(matrix: Pick<LeastPrivilegeMatrix, 'rows'>): readonly MatrixRow[] {
  const groups = Map.groupBy(matrix.rows, (cell) => `${cell.role}\n${cell.target}`);
  return [...groups.values()].map((cells) => ({
    role: cells[0]?.role ?? '',
    target: cells[0]?.target ?? '',
    read: summary(cells.filter((cell) => cell.operation === 'read')),
    list: summary(cells.filter((cell) => cell.operation === 'list')),
    write: summary(cells.filter((cell) => cell.operation === 'write')),
  }));
}

interface Identity {
  readonly client: VaultClient;
  readonly capabilities: ReadonlyMap<string, readonly string[]> | undefined;
  readonly end: () => Promise<void>;
}

async function become(options: MatrixOptions, role: string, trials: readonly Trial[]): Promise<Identity> {
  if (options.clientFor !== undefined) {
    const client = await options.clientFor(role);
    return { client, capabilities: undefined, end: () => Promise.resolve() };
  }
  const { token, accessor } = await options.client.createToken({
    policies: [role],
    noDefaultPolicy: true,
    ttlS: 120,
    displayName: `matrix-${role}`,
  });
  const paths = [...new Set(trials.map((trial) => trial.path))];
  const answer = await options.client.request<{ data?: Readonly<Record<string, unknown>> }>(
    'POST',
    'sys/capabilities-accessor',
    { accessor, paths },
    { repeatable: true },
  );
  const capabilities = new Map(
    paths.map((path) => {
      const found = answer.data?.[path];
      return [path, Array.isArray(found) ? found.map(String) : []] as const;
    }),
  );
  return {
    client: options.client.withToken(token),
    capabilities,
    end: () => options.client.revokeAccessor(accessor),
  };
}

async function attempt(client: VaultClient, trial: Trial): Promise<MatrixCell['observed']> {
  if (trial.method === undefined) return 'unclear';
  try {
    await client.request(trial.method, trial.path, trial.body, { deadlineMs: 0, repeatable: false });
    return 'allowed';
  } catch (error) {
    if (isDevstackError(error, 'VAULT_PERMISSION_DENIED')) return 'denied';
    // Whatever else Vault answers, it has let the request pass its policies.
    if (isDevstackError(error, 'VAULT_NOT_FOUND') || isDevstackError(error, 'VAULT_CAS_MISMATCH')) return 'allowed';
    const status = isDevstackError(error) ? error.details['status'] : undefined;
    if (status === 400 || status === 404 || status === 405) return 'allowed';
    if (status === 500) return 'unclear';
    throw error;
  }
}

const needed: Readonly<Record<Trial['operation'], readonly string[]>> = {
  read: ['read'],
  list: ['list'],
  write: ['create', 'update', 'patch', 'delete', 'sudo'],
};

function judged(
  role: string,
  trial: Trial,
  tried: MatrixCell['observed'],
  capabilities: readonly string[] | undefined,
  exceptions: readonly LeastPrivilegeException[],
): MatrixCell {
  const listed = capabilities?.some(
    (capability) => capability === 'root' || needed[trial.operation].includes(capability),
  );
  const byList = listed === undefined ? 'unclear' : listed ? 'allowed' : 'denied';
  const observed: MatrixCell['observed'] = tried === 'unclear' ? byList : tried;
  const cell = { ...trial, role, observed, capabilities: capabilities ?? [] };
  if (listed === true && observed === 'denied' && trial.operation !== 'write') {
    return { ...cell, verdict: 'violation', note: 'Vault lists it as allowed, though the try was denied' };
  }
  if (observed === trial.expected || observed === 'unclear') return { ...cell, verdict: 'as-expected' };
  if (trial.expected === 'allowed') return { ...cell, verdict: 'violation', note: 'the role cannot do what it is for' };
  const exception = exceptions.find((candidate) => candidate.role === role && candidate.allows(trial, role));
  if (exception !== undefined) return { ...cell, verdict: 'exception', note: exception.reason };
  return { ...cell, verdict: 'violation', note: `allowed to ${trial.operation} ${trial.path}` };
}

function summary(cells: readonly MatrixCell[]): string {
  if (cells.length === 0) return '';
  if (cells.some((cell) => cell.verdict === 'violation')) return 'VIOLATION';
  if (cells.some((cell) => cell.verdict === 'exception')) return 'exception';
  return [...new Set(cells.map((cell) => cell.observed))].join(', ');
}
