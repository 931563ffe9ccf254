import type { MongoConnection } from '@devstack-core/database-connections';
import { isDevstackError } from '@devstack-core/errors';
import { listOf, objectOf, readCollections, workPrefix, type JsonObject } from './collections.ts';

/** A collection that has been loaded under another name. */
export interface NewCollection {
  readonly name: string;
  readonly temporary: string;
  readonly type: string;
  readonly options: JsonObject;
  readonly indexes: readonly JsonObject[];
}

const journal = `${workPrefix}journal`;

export function temporaryName(index: number): string {
  return `${workPrefix}new_${String(index)}`;
}

interface Move {
  readonly from: string;
  readonly to: string;
}

/** What the journal keeps: moves in their order, the views that were there, and whether all of it has happened. */
interface Plan {
  readonly moves: readonly Move[];
  readonly oldViews: readonly unknown[];
}

/**
 * Gives loaded collections their names, and those that are there others, one by one: the server renames none into another database, and
 * no two at once. The journal says what was meant, so that whoever comes after a kill can take it back.
 */
export async function swapIn(
  connection: MongoConnection,
  database: string,
  collections: readonly NewCollection[],
): Promise<void> {
  const db = connection.db(database);
  const present = await readCollections(connection, database);
  const stored = present.filter(({ type }) => type !== 'view');
  const views = present.filter(({ type }) => type === 'view');
  const moves = [
    ...stored.map(({ name }, index) => ({ from: name, to: `${workPrefix}old_${String(index)}` })),
    ...collections.filter(({ type }) => type !== 'view').map(({ temporary, name }) => ({ from: temporary, to: name })),
  ];
  const plan: Plan = { moves, oldViews: views.map(({ name, options }) => ({ name, options })) };
  await db.collection(journal).insertOne({ _id: 'plan', text: JSON.stringify(plan) });
  for (const { name } of views) await drop(connection, database, name);
  for (const move of moves) await rename(connection, database, move);
  for (const { name, type, options } of collections)
    if (type === 'view') await db.commandJson(JSON.stringify({ create: name, ...options }));
  await db.collection(journal).insertOne({ _id: 'done' });
  await dropWork(connection, database);
}

/** Takes back what a restore that failed or was killed has done to names, and drops what it had loaded. */
export async function undoEarlier(connection: MongoConnection, database: string): Promise<void> {
  const db = connection.db(database);
  const plan = await readPlan(connection, database);
  if (plan !== undefined) {
    const names = new Set(await db.listCollections());
    // Backwards: what has its new name gets its old one.
    for (const { from, to } of plan.moves.toReversed()) {
      if (!names.has(to) || (names.has(from) && from.startsWith(workPrefix))) continue;
      // Made by somebody who did not know that the collection was aside.
      if (names.has(from)) await drop(connection, database, from);
      await rename(connection, database, { from: to, to: from });
      names.delete(to);
      names.add(from);
    }
    for (const view of plan.oldViews) {
      const { name, options } = objectOf(view);
      if (typeof name !== 'string' || names.has(name)) continue;
      await db.commandJson(JSON.stringify({ create: name, ...objectOf(options) }));
    }
    await db.collection(journal).insertOne({ _id: 'done' });
  }
  await dropWork(connection, database);
}

/** Whether a restore was killed while names were being changed. */
export async function isInterrupted(connection: MongoConnection, database: string): Promise<boolean> {
  return (await readPlan(connection, database)) !== undefined;
}

// Undefined where there is nothing to take back.
async function readPlan(connection: MongoConnection, database: string): Promise<Plan | undefined> {
  const db = connection.db(database);
  if (!(await db.listCollections()).includes(journal)) return undefined;
  const entries = await db.collection(journal).find();
  const text = entries.find(({ _id }) => _id === 'plan')?.['text'];
  if (typeof text !== 'string' || entries.some(({ _id }) => _id === 'done')) return undefined;
  const { moves, oldViews } = objectOf(JSON.parse(text));
  return { moves: listOf(moves) as unknown as readonly Move[], oldViews: listOf(oldViews) };
}

// The journal last: it says that the others are not wanted.
async function dropWork(connection: MongoConnection, database: string): Promise<void> {
  const db = connection.db(database);
  const work = (await db.listCollections()).filter((name) => name.startsWith(workPrefix));
  for (const name of work) if (name !== journal) await drop(connection, database, name);
  if (work.includes(journal)) await drop(connection, database, journal);
  if (work.length > 0 && (await db.listCollections()).length === 0) await db.command({ dropDatabase: 1 });
}

async function drop(connection: MongoConnection, database: string, name: string): Promise<void> {
  await connection.db(database).command({ drop: name });
}

async function rename(connection: MongoConnection, database: string, { from, to }: Move): Promise<void> {
  const names = { renameCollection: `${database}.${from}`, to: `${database}.${to}` };
  try {
    await connection.db('admin').command(names);
  } catch (error) {
    // Somebody wrote into a collection whose name was free for a moment; what is being replaced takes nothing any more.
    if (!isDevstackError(error, 'DATABASE_ERROR') || error.details['serverCode'] !== '48') throw error;
    await drop(connection, database, to);
    await connection.db('admin').command(names);
  }
}
