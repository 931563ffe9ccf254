import type { RestoreOptions, StoredPart } from '../types.ts';
import { lastLine, wordsOf } from '../engine-failure.ts';
import type { RedisPlace } from './redis-place.ts';
import { openRedis, saveRdb } from './redis-session.ts';

/**
 * Whether all slots are covered and served, and whether each server's data pass `redis-check-rdb`. A throwaway server also has to load all
 * of it anew, with as many keys after as before.
 */
export async function checkRedis(
  place: RedisPlace,
  _part: StoredPart,
  { signal }: RestoreOptions = {},
): Promise<readonly string[]> {
  const problems: string[] = [];
  await using session = await openRedis(place, signal);
  if (session.uncovered.size > 0) problems.push(`No node holds the slots ${session.uncovered.ranges().join(', ')}.`);
  for (const master of session.masters) {
    const { connection, node } = master;
    if (session.isCluster) {
      const info = String(await connection.command('CLUSTER', 'INFO'));
      if (!info.includes('cluster_state:ok'))
        problems.push(`Redis in ${node.container} does not call the cluster whole.`);
    }
    await using file = await saveRdb(place, master, signal);
    const { exitCode, stdout } = await place.docker.exec(node.container, ['redis-check-rdb', file.path]);
    if (exitCode !== 0) problems.push(`redis-check-rdb in ${node.container}: ${lastLine(stdout)}.`);
    if (place.isThrowaway !== true) continue;
    const before = Number(await connection.command('DBSIZE'));
    try {
      await connection.command('DEBUG', 'RELOAD');
    } catch (error) {
      problems.push(`Redis could not load its own data: ${wordsOf(error)}.`);
      continue;
    }
    const after = Number(await connection.command('DBSIZE'));
    // Keys may expire between the two.
    if (after > before) problems.push(`Redis loaded ${String(after)} keys where ${String(before)} were saved.`);
    if (after < before && !(await hasExpiring(connection.command('INFO', 'keyspace'))))
      problems.push(`Redis loaded ${String(after)} keys of ${String(before)}.`);
  }
  return problems;
}

async function hasExpiring(keyspace: Promise<unknown>): Promise<boolean> {
  return /expires=[1-9]/.test(String(await keyspace));
}
