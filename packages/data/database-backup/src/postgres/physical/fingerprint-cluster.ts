import type { Fingerprint, FingerprintItem } from '../../types.ts';
import { fingerprintDatabase } from '../fingerprint-database.ts';
import { fingerprintGlobals } from '../fingerprint-globals.ts';
import { describeServer, maintenanceDatabase } from '../identity.ts';
import type { PostgresPlace } from '../place.ts';
import { openSession, type SessionOptions } from '../session.ts';

/** Roles and every database that accepts connections; of what is not logged, which no physical backup holds, only the structure. */
export async function fingerprintCluster(place: PostgresPlace, options: SessionOptions): Promise<Fingerprint> {
  const { databases } = await describeServer({ ...place, excludeDatabases: [] }, options);
  const items: FingerprintItem[] = [];
  {
    await using session = await openSession(place, maintenanceDatabase, options);
    items.push(...(await fingerprintGlobals(session)).items);
  }
  for (const { name } of databases) {
    await using session = await openSession(place, name, options);
    await session.run('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    const found = await fingerprintDatabase(session, { exceptUnlogged: true });
    items.push(...found.items.map((item) => ({ ...item, name: `${name}: ${item.name}` })));
  }
  return { schema: 'devstack/fingerprint/1', items };
}
