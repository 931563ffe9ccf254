import { ExitCode } from '@devstack-core/errors';
import { consumersOf, operatorSession } from '@devstack-core/stack-lifecycle';
import { approleStatus } from '@devstack-core/vault-approle';
import type { Arguments, Outcome } from '../../command.ts';
import type { Context } from '../../context.ts';
import { table } from '../../output/table.ts';

export async function run(_args: Arguments, context: Context): Promise<Outcome> {
  const stack = await context.stack();
  await using session = await operatorSession(stack);
  const rows = await approleStatus({
    client: session.client,
    consumers: consumersOf(stack),
    directory: stack.directories.approles,
  });
  const bad = rows.filter((row) => row.secretId !== 'valid' || !row.roleIdMatches);
  return {
    data: {
      schema: 'devstack/approle-status/1',
      project: stack.project.id,
      logins: rows.map((row) => ({ ...row, expiresAt: row.expiresAt ?? null })),
    },
    text: table(
      ['service', 'role', 'role_id', 'secret_id', 'expires', 'secret_ids', 'note'],
      rows.map((row) => [
        row.service,
        row.role,
        row.roleIdMatches ? 'matches' : 'DIFFERS',
        row.secretId,
        row.expiresAt ?? '',
        String(row.accessors),
        row.note ?? '',
      ]),
    ),
    exitCode: bad.length === 0 ? ExitCode.done : ExitCode.findings,
  };
}
