import { randomBytes } from 'node:crypto';
import { posix } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { connectRedis, type RedisConnection } from '@devstack-core/database-connections';
import { abortReason } from '@devstack-core/errors';
import { Secret } from '@devstack-core/redaction';
import { scratchPrefix } from '../credential-file.ts';
import { placeUnusable } from '../engine-failure.ts';
import { execSupervised } from '../supervised-program.ts';
import type { RedisNode, RedisPlace } from './redis-place.ts';
import { allSlots, SlotSet } from './slots.ts';

/** One master that is connected to. */
export interface RedisMaster {
  readonly node: RedisNode;
  readonly connection: RedisConnection;
  readonly slots: SlotSet;
  /** Whether a slot is on its way to or from it. */
  readonly isMigrating: boolean;
}

/** All masters of a place. */
export interface RedisSession extends AsyncDisposable {
  readonly isCluster: boolean;
  readonly masters: readonly RedisMaster[];
  /** Slots that none of them holds. */
  readonly uncovered: SlotSet;
}

/** Connects to every node of a place, and finds the masters with slots among them. */
export async function openRedis(place: RedisPlace, signal: AbortSignal | undefined): Promise<RedisSession> {
  await using stack = new AsyncDisposableStack();
  const masters: RedisMaster[] = [];
  let isCluster = false;
  for (const node of place.nodes) {
    const connection = stack.use(
      await connectRedis({
        ...node.connect,
        username: place.username,
        password: place.password ?? new Secret(''),
        ...(signal === undefined ? {} : { signal }),
      }),
    );
    if (/^cluster_enabled:1/m.test(String(await connection.command('INFO', 'cluster')))) {
      isCluster = true;
      const own = ownLine(String(await connection.command('CLUSTER', 'NODES')));
      if (own.isMaster) masters.push({ node, connection, slots: SlotSet.of(own.ranges), isMigrating: own.isMigrating });
    } else masters.push({ node, connection, slots: SlotSet.of(allSlots), isMigrating: false });
  }
  if (!isCluster && masters.length !== 1)
    throw placeUnusable('Several Redis servers that are no cluster cannot be one place.', 'Name one server.');
  const covered = SlotSet.of(masters.flatMap(({ slots }) => slots.ranges()));
  const uncovered = SlotSet.of(
    SlotSet.of(allSlots)
      .list()
      .filter((slot) => !covered.has(slot))
      .map(String),
  );
  const open = stack.move();
  return { isCluster, masters, uncovered, [Symbol.asyncDispose]: () => open.disposeAsync() };
}

// Redis documentation, “CLUSTER NODES”, serialization format.
function ownLine(text: string): { isMaster: boolean; ranges: string[]; isMigrating: boolean } {
  const words = text
    .split('\n')
    .map((line) => line.trim().split(' '))
    .find((line) => line[2]?.split(',').includes('myself'));
  const slots = words?.slice(8) ?? [];
  return {
    isMaster: words?.[2]?.split(',').includes('master') ?? false,
    ranges: slots.filter((word) => !word.startsWith('[')),
    isMigrating: slots.some((word) => word.startsWith('[')),
  };
}

/** A file in the data folder of a container that holds what a server had at one moment. */
export interface SavedRdb extends AsyncDisposable {
  readonly container: string;
  readonly path: string;
  readonly sizeBytes: number;
}

/**
 * Has a server write its RDB file in the background and gives it a second name, by which it stays what it is when the server writes the next
 * one. No second copy on the disk. Throws `Error`.
 */
export async function saveRdb(
  place: RedisPlace,
  master: RedisMaster,
  signal: AbortSignal | undefined,
): Promise<SavedRdb> {
  const { connection, node } = master;
  await saveInBackground(connection, signal);
  const folder = await setting(connection, 'dir');
  const path = posix.join(folder, `${rdbPrefix}${randomBytes(6).toString('hex')}.rdb`);
  const run = async (...argv: [string, ...string[]]): Promise<string> => {
    const { exitCode, stdout, stderr } = await place.docker.exec(node.container, argv);
    if (exitCode !== 0) throw new Error(`${argv[0]} ended with exit code ${String(exitCode)} (${stderr.trim()})`);
    return stdout;
  };
  await run('ln', posix.join(folder, await setting(connection, 'dbfilename')), path);
  const remove = async (): Promise<void> => {
    await run('rm', '-f', path);
  };
  try {
    return {
      container: node.container,
      path,
      sizeBytes: Number((await run('stat', '-c', '%s', path)).trim()),
      [Symbol.asyncDispose]: remove,
    };
  } catch (error) {
    await remove();
    throw error;
  }
}

const rdbPrefix = scratchPrefix;

/** Removes the files of killed runs. Only while no other run is at work there. */
export async function sweepRdbFiles(place: RedisPlace, { connection, node }: RedisMaster): Promise<void> {
  const folder = await setting(connection, 'dir');
  await place.docker.exec(node.container, ['sh', '-c', `rm -f "$1"/${rdbPrefix}*.rdb`, 'sh', folder]);
}

/** The bytes of a saved file, all of them. */
export async function* readSaved(
  place: RedisPlace,
  { container, path, sizeBytes }: SavedRdb,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void, undefined> {
  const cat = await execSupervised({ docker: place.docker, container }, ['cat', path], { signal });
  let bytes = 0;
  for await (const chunk of cat.stdout) {
    bytes += chunk.length;
    yield chunk;
  }
  const { exitCode, stderr } = await cat.ended;
  if (exitCode !== 0 || bytes !== sizeBytes)
    throw new Error(`${String(bytes)} of ${String(sizeBytes)} bytes of the RDB file came (${stderr.trim()})`);
}

// Two saves cannot run at once. The count of finished ones tells ours from one that was under way; times have whole seconds only.
async function saveInBackground(connection: RedisConnection, signal: AbortSignal | undefined): Promise<void> {
  const state = async (): Promise<{ busy: boolean; saves: number; ok: boolean }> => {
    const info = String(await connection.command('INFO', 'persistence'));
    return {
      busy: /^rdb_bgsave_in_progress:1/m.test(info) || /^aof_rewrite_in_progress:1/m.test(info),
      saves: Number(/^rdb_saves:(\d+)/m.exec(info)?.[1] ?? NaN),
      ok: /^rdb_last_bgsave_status:ok/m.test(info),
    };
  };
  const untilIdle = async (): Promise<{ saves: number; ok: boolean }> => {
    for (;;) {
      const aborted = abortReason(signal, 'The snapshot of Redis');
      if (aborted !== undefined) throw aborted;
      const now = await state();
      if (!now.busy) return now;
      await delay(20);
    }
  };
  for (;;) {
    const { saves: before } = await untilIdle();
    try {
      await connection.command('BGSAVE');
    } catch (error) {
      // Somebody else was faster: theirs may have begun before we asked.
      if (error instanceof Error && /already in progress|child process/i.test(error.message)) continue;
      throw error;
    }
    const { saves, ok } = await untilIdle();
    if (!ok) throw new Error('the server could not write its RDB file: see its log');
    if (saves > before) return;
  }
}

async function setting(connection: RedisConnection, name: string): Promise<string> {
  const reply = await connection.command('CONFIG', 'GET', name);
  const value: unknown = Array.isArray(reply) ? reply[1] : undefined;
  if (typeof value !== 'string') throw new Error(`the server does not tell its setting ${name}`);
  return value;
}
