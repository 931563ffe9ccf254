import { randomBytes } from 'node:crypto';
import { isDevstackError } from '@devstack-core/errors';
import type { ArchiveHead } from './archive-reader.ts';
import { temporaryPrefix } from './identity.ts';
import type { PostgresPlace } from './place.ts';
import { quoteName, quoteText } from './quote.ts';
import { openSession } from './session.ts';

interface Swap {
  readonly maintenance: string;
  readonly database: string;
  readonly temporary: string;
  readonly head: ArchiveHead;
  readonly signal: AbortSignal | undefined;
}

const busy = '55006';

/**
 * Gives the new database its name, owner, privileges and settings in one transaction, and then drops the one that had the name. Renaming
 * waits for sessions to leave and lets none in meanwhile; those that are there are ended.
 */
export async function swapIn(place: PostgresPlace, swap: Swap): Promise<void> {
  const { database, maintenance, signal } = swap;
  const old = `${temporaryPrefix}old-${randomBytes(6).toString('hex')}`;
  for (let attempt = 1; ; attempt += 1) {
    await using session = await openSession(place, maintenance, { purpose: 'restore', signal });
    const [there] = await session.query(
      `SELECT count(pg_terminate_backend(a.pid)) FROM pg_database d LEFT JOIN pg_stat_activity a ON a.datid = d.oid WHERE d.datname = ${quoteText(database)} GROUP BY d.oid`,
    );
    try {
      const statements = [
        'BEGIN',
        ...(there === undefined
          ? []
          : [
              `ALTER DATABASE ${quoteName(database)} RENAME TO ${quoteName(old)}`,
              `ALTER DATABASE ${quoteName(old)} WITH ALLOW_CONNECTIONS false IS_TEMPLATE false`,
            ]),
        `ALTER DATABASE ${quoteName(swap.temporary)} RENAME TO ${quoteName(database)}`,
        ...properties(swap.head),
        'COMMIT',
      ];
      for (const statement of statements) await session.run(statement);
    } catch (error) {
      // Somebody came back between the two.
      if (attempt < 10 && isDevstackError(error) && error.details['sqlState'] === busy) continue;
      throw error;
    }
    if (there !== undefined) await session.run(`DROP DATABASE IF EXISTS ${quoteName(old)} WITH (FORCE)`);
    return;
  }
}

// What belongs to the database itself and not to anything in it; pg_restore brings it only to a database that it makes.
function properties({ entries }: ArchiveHead): readonly string[] {
  const own = entries.find(({ description }) => description === 'DATABASE');
  if (own === undefined) return [];
  const owner =
    own.owner === undefined || own.owner === ''
      ? []
      : [`ALTER DATABASE ${quoteName(own.tag)} OWNER TO ${quoteName(own.owner)}`];
  const texts = entries.flatMap(({ description, tag, definition }) =>
    description === 'DATABASE PROPERTIES' ||
    (['ACL', 'COMMENT', 'SECURITY LABEL'].includes(description) && tag.startsWith('DATABASE '))
      ? [definition]
      : [],
  );
  return [...owner, ...texts];
}
