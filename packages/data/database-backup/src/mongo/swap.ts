import type { MongoConnection } from '@devstack-core/database-connections';
import { isDevstackError } from '@devstack-core/errors';
import { listOf, objectOf, readCollections, workPrefix, type JsonObject } from './collections.ts';
import { copyCollection, createCollection } from './copy-collection.ts';

/** A collection that has been loaded under another name. */
export interface NewCollection {
  readonly name: string;
  readonly temporary: string;
  readonly type: string;
  readonly options: JsonObject;
  readonly indexes: readonly JsonObject[];
}

/** Where the names are changed. */
export interface SwapPlace {
  readonly connection: MongoConnection;
  readonly database: string;
  /** FerretDB does not rename a collection with a dot in its name, such as those of GridFS: such a one is copied. */
  readonly isFerretdb: boolean;
}

const journal = `${workPrefix}journal`;

export function temporaryName(index: number): string {
  return `${workPrefix}new_${String(index)}`;
}

/** A collection that was there, and where it is while another takes its name. */
interface Old {
  readonly name: string;
  readonly aside: string;
  readonly options: JsonObject;
  readonly indexes: readonly JsonObject[];
}

/** What the journal keeps: all that was there, and the names that are being given. */
interface Plan {
  readonly olds: readonly Old[];
  readonly news: readonly string[];
  readonly oldViews: readonly { readonly name: string; readonly options: JsonObject }[];
}

/**
 * Gives loaded collections their names, and those that are there others, one by one: the server renames none into another database, and
 * no two at once. The journal says what was there, so that whoever comes after a kill can put it back.
 */
export async function swapIn(place: SwapPlace, collections: readonly NewCollection[]): Promise<void> {
  const { connection, database } = place;
  const db = connection.db(database);
  const present = await readCollections(connection, database);
  const views = present.filter(({ type }) => type === 'view');
  const stored = collections.filter(({ type }) => type !== 'view');
  const plan: Plan = {
    olds: present
      .filter(({ type }) => type !== 'view')
      .map(({ name, options, indexes }, index) => ({
        name,
        aside: `${workPrefix}old_${String(index)}`,
        options,
        indexes,
      })),
    news: collections.map(({ name }) => name),
    oldViews: views.map(({ name, options }) => ({ name, options })),
  };
  await db.collection(journal).insertOne({ _id: 'plan', text: JSON.stringify(plan) });
  for (const { name } of views) await drop(place, name);
  for (const old of plan.olds) await putAside(place, old);
  for (const collection of stored) await giveName(place, collection);
  for (const { name, type, options } of collections)
    if (type === 'view') await createCollection(connection, database, name, options);
  await db.collection(journal).insertOne({ _id: 'done' });
  await dropWork(place);
}

async function putAside(place: SwapPlace, { name, aside, options, indexes }: Old): Promise<void> {
  if (canRename(place, name)) return rename(place, name, aside);
  await copyCollection(place.connection, place.database, { from: name, to: aside, options, indexes });
  // From now on the copy is what counts.
  await place.connection.db(place.database).collection(journal).insertOne({ _id: aside });
  await drop(place, name);
}

async function giveName(place: SwapPlace, { name, temporary, options, indexes }: NewCollection): Promise<void> {
  const take = (): Promise<void> =>
    canRename(place, name)
      ? rename(place, temporary, name)
      : copyCollection(place.connection, place.database, { from: temporary, to: name, options, indexes });
  try {
    await take();
  } catch (error) {
    // Somebody wrote into a collection whose name was free for a moment; what is being replaced takes nothing any more.
    if (!isDevstackError(error, 'DATABASE_ERROR') || error.details['serverCode'] !== '48') throw error;
    await drop(place, name);
    await take();
  }
}

/** Puts back what a restore that failed or was killed has put aside, and drops what it had loaded. May itself be killed and done again. */
export async function undoEarlier(place: SwapPlace): Promise<void> {
  const { connection, database } = place;
  const db = connection.db(database);
  const { plan, marks } = await readJournal(place);
  if (plan !== undefined) {
    const names = new Set(await db.listCollections());
    for (const old of plan.olds) {
      // A copy counts when it was marked as whole; a renamed collection is in one place only.
      const isAside = names.has(old.aside) && (canRename(place, old.name) || marks.has(old.aside));
      if (isAside) await takeBack(place, old, names.has(old.name));
    }
    const before = new Set(plan.olds.map(({ name }) => name));
    for (const name of plan.news) if (!before.has(name) && names.has(name)) await drop(place, name);
    for (const { name, options } of plan.oldViews)
      if (!names.has(name)) await createCollection(connection, database, name, options);
    await db.collection(journal).insertOne({ _id: 'done' });
  }
  await dropWork(place);
}

async function takeBack(place: SwapPlace, old: Old, isTaken: boolean): Promise<void> {
  if (isTaken) await drop(place, old.name);
  if (canRename(place, old.name)) {
    await rename(place, old.aside, old.name);
    return;
  }
  await copyCollection(place.connection, place.database, { ...old, from: old.aside, to: old.name });
  await drop(place, old.aside);
}

/** Whether a restore was killed while names were being changed. */
export async function isInterrupted(connection: MongoConnection, database: string): Promise<boolean> {
  return (await readJournal({ connection, database })).plan !== undefined;
}

// No plan: there is nothing to put back.
async function readJournal({ connection, database }: Pick<SwapPlace, 'connection' | 'database'>): Promise<{
  readonly plan?: Plan;
  readonly marks: ReadonlySet<string>;
}> {
  const db = connection.db(database);
  if (!(await db.listCollections()).includes(journal)) return { marks: new Set() };
  const entries = await db.collection(journal).find();
  const marks = new Set(entries.map(({ _id }) => String(_id)));
  const text = entries.find(({ _id }) => _id === 'plan')?.['text'];
  if (typeof text !== 'string' || marks.has('done')) return { marks };
  const { olds, news, oldViews } = objectOf(JSON.parse(text));
  return {
    plan: {
      olds: listOf(olds) as readonly Old[],
      news: listOf(news) as readonly string[],
      oldViews: listOf(oldViews) as Plan['oldViews'],
    },
    marks,
  };
}

// The journal last: it says that the others are not wanted.
async function dropWork(place: SwapPlace): Promise<void> {
  const db = place.connection.db(place.database);
  const work = (await db.listCollections()).filter((name) => name.startsWith(workPrefix));
  for (const name of work) if (name !== journal) await drop(place, name);
  if (work.includes(journal)) await drop(place, journal);
  if (work.length > 0 && (await db.listCollections()).length === 0) await db.command({ dropDatabase: 1 });
}

function canRename({ isFerretdb }: SwapPlace, name: string): boolean {
  return !isFerretdb || !name.includes('.');
}

async function drop({ connection, database }: SwapPlace, name: string): Promise<void> {
  await connection.db(database).command({ drop: name });
}

async function rename({ connection, database }: SwapPlace, from: string, to: string): Promise<void> {
  await connection.db('admin').command({ renameCollection: `${database}.${from}`, to: `${database}.${to}` });
}
