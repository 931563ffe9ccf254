// Runs on a small file system of its own (or under a limit for files) and prints what happened, as JSON.
import { readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isDevstackError } from '@devstack-core/errors';
import { openBackupStore } from '../src/index.ts';
import { filesWith, makeSet, passphrase, random } from './store-folder.ts';

const [folder = '', fill] = process.argv.slice(2);
const directory = join(folder, 'backups');
let fillers = 0;
let now = Date.parse('2026-10-01T10:00:00Z');
const store = openBackupStore({
  directory,
  passphrase,
  tool: { name: 'devstack', version: '1.0.0' },
  now: () => new Date((now += 60_000)),
});
const small = { contents: { vault: { keys: 'a-secret-that-nobody-may-read' } } };
// Larger than the whole file system, and nothing told so before: the check of space knows the last size only.
const huge = { contents: { vault: { keys: 'a-secret-that-nobody-may-read' }, postgres: { app: random(6_000_000) } } };

await makeSet(store, small);
await makeSet(store, small);
const create = await codeOf(makeSet(store, huge));
const afterCreate = { sets: await statuses(), names: await readdir(directory) };

// Not a byte is left, but for what the store has set aside: that is enough to rotate, and to say clearly what is not enough.
const isFull = fill === 'yes' ? await fillUp() : false;
const rotate = fill === 'yes' ? await codeOf(store.rotate({ keepLast: 1 })) : 'not tried';
if (fill === 'yes') await fillUp();
const createFull = fill === 'yes' ? await codeOf(makeSet(store, huge)) : 'not tried';
const afterFull = await statuses();
for (const name of await readdir(folder)) if (name.startsWith('filler')) await rm(join(folder, name));

// With space again all goes on.
await store.rotate({ keepLast: 1 });
await makeSet(store, small);
await store.sweep();
const verdicts = await Promise.all((await store.list()).map(async ({ id }) => (await store.verify(id)).verdict));
process.stdout.write(
  `${JSON.stringify({
    create,
    afterCreate,
    isFull,
    rotate,
    createFull,
    afterFull,
    verdicts,
    left: (await readdir(directory)).filter((name) => name.startsWith('.')),
    clear: await filesWith(directory, 'a-secret-that-nobody-may-read'),
  })}\n`,
);

async function fillUp(): Promise<boolean> {
  for (let pieces = 0; pieces < 4096; pieces += 1) {
    fillers += 1;
    const error = await writeFile(join(folder, `filler${String(fillers)}`), random(4096)).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    if (error !== undefined) return error instanceof Error && 'code' in error && error.code === 'ENOSPC';
  }
  return false;
}

async function statuses(): Promise<string[]> {
  return (await store.list()).map(({ status }) => status);
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => 'none',
    (error: unknown) => (isDevstackError(error) ? error.code : String(error)),
  );
}
