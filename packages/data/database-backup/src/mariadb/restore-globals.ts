import { Secret } from '@devstack-core/redaction';
import { DatabaseBackupErrorCode } from '../errors.ts';
import { mariadbFailure } from './failure.ts';
import { accountStatements, currentAccount, parseAccounts, readAccounts, type Account } from './globals.ts';
import type { RestoreDatabaseOptions } from './restore.ts';
import type { MariadbSession, SessionOptions } from './session.ts';

// A right to a table or routine that is not there: what is missing then is found by the fingerprints, and no account waits for it.
const tolerable = new Set(['1146', '1305', '1147', '1403']);

/** Makes users and roles those of the dump; a failure puts back those that were there. Throws RESTORE_FAILED. */
export async function restoreAccounts(
  options: RestoreDatabaseOptions,
  session: MariadbSession,
  content: AsyncIterable<Uint8Array>,
): Promise<void> {
  const { place, programs, login, isMariadb } = options;
  const parts: Uint8Array[] = [];
  for await (const chunk of content) parts.push(chunk);
  const wanted = parseAccounts(Buffer.concat(parts).toString('utf8'));
  const current = await currentAccount(session);
  const present = await readAccounts(session, place, isMariadb);
  try {
    await apply(options, accountStatements(wanted, present, current, isMariadb));
  } catch (error) {
    const half: readonly Account[] = await readAccounts(session, place, isMariadb);
    // Not cut off by an abort.
    await apply({ place, programs, login }, accountStatements(present, half, current, isMariadb));
    throw error;
  }
}

async function apply(
  { place, programs, login, signal }: Omit<SessionOptions, 'code'>,
  statements: readonly string[],
): Promise<void> {
  const { exitCode, stderr } = await place.docker.exec(
    place.container,
    [
      programs.client,
      `--defaults-extra-file=${login}`,
      '--binary-mode',
      '--force',
      '--default-character-set=utf8mb4',
      'mysql',
    ],
    {
      stdin: new Secret(statements.map((statement) => `${statement};\n`).join('')),
      ...(signal === undefined ? {} : { signal }),
    },
  );
  const errors = [...stderr.matchAll(/^ERROR (\d+)/gm)].map(([, number = '']) => number);
  const refused = errors.filter((number) => !tolerable.has(number));
  if (refused.length > 0 || (exitCode !== 0 && errors.length === 0))
    throw mariadbFailure(
      DatabaseBackupErrorCode.restoreFailed,
      `The server refused ${String(refused.length)} statements about its accounts`,
      // Not the statements, which hold hashes.
      [...new Set(refused)].map((number) => `ERROR ${number}`).join('\n'),
      'The accounts are those from before.',
    );
}
