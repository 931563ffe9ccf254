import { leastPrivilegeMatrix, matrixRows, type MatrixCell } from '@devstack-core/vault-approle';
import { readRootToken } from '@devstack-core/vault-lifecycle';
import { roleDefinitions } from './consumers.ts';
import type { Stack } from './stack.ts';

/** Every role tried against every other's paths. */
export interface PrivilegeReport {
  readonly cells: readonly MatrixCell[];
  readonly violations: readonly MatrixCell[];
  readonly tableHead: readonly string[];
  readonly tableRows: readonly (readonly string[])[];
}

/**
 * Proves least privilege by trying: a short-lived token of each role's policy against every path of every other, `sys/`, `auth/` and its
 * own policy. The root token makes those tokens; this and the bootstrap are its only uses.
 */
export async function provePrivileges(stack: Stack): Promise<PrivilegeReport> {
  const client = stack.vault(await readRootToken({ directory: stack.directories.vault }));
  const matrix = await leastPrivilegeMatrix({ client, roles: await roleDefinitions(stack) });
  return {
    cells: matrix.rows,
    violations: matrix.violations,
    tableHead: ['role', 'against', 'read', 'list', 'write'],
    tableRows: matrixRows(matrix).map((row) => [row.role, row.target, row.read, row.list, row.write]),
  };
}
