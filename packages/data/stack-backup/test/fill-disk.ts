// Does every operation on a small file system that is full, and prints what came of each, as JSON. Arguments: folder.
import { randomBytes } from 'node:crypto';
import { readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isDevstackError } from '@devstack-core/errors';
import { FaultWorld, stateAt } from './fault-world.ts';

const [folder = ''] = process.argv.slice(2);
let now = Date.parse('2026-10-01T10:00:00Z');
const world = new FaultWorld(folder, { now: () => new Date((now += 60_000)) });
await world.hold(stateAt('older'));
const older = (await world.create()).manifest.id;
await world.hold(stateAt('newer'));
const newer = (await world.create()).manifest.id;
// More than what the store has set aside, however well it is compressed.
const present = { orders: `${stateAt('present')['orders'] ?? ''}${randomBytes(700_000).toString('hex')}` };
await world.hold(present);
const sets = [newer, older];

let fillers = 0;
async function onFullDisk(work: () => Promise<unknown>): Promise<object> {
  const isFull = await fillUp();
  const code = await work().then(
    () => 'none',
    (error: unknown) => (isDevstackError(error) ? error.code : String(error)),
  );
  const held = await world.held();
  const isHeld = JSON.stringify(held) === JSON.stringify(present);
  for (const name of await readdir(folder)) if (name.startsWith('filler')) await rm(join(folder, name));
  const there = [...(await world.complete()), ...(await world.store.trash()).map(({ id }) => id)];
  return {
    isFull,
    code,
    isHeld,
    areSetsThere: sets.every((id) => there.includes(id)),
    inClear: await world.inClear(),
    unfinished: (await world.names()).filter((name) => name.endsWith('.partial')),
  };
}

async function fillUp(): Promise<boolean> {
  for (const size of [65_536, 4096, 1])
    for (;;) {
      fillers += 1;
      const error = await writeFile(join(folder, `filler${String(fillers)}`), Buffer.alloc(size, 1)).then(
        () => undefined,
        (thrown: unknown) => thrown,
      );
      if (error === undefined) continue;
      if (!(error instanceof Error && 'code' in error && error.code === 'ENOSPC')) return false;
      break;
    }
  return true;
}

const create = await onFullDisk(() => world.create());
const verify = await onFullDisk(async () => {
  const { verdict } = await world.verify(older);
  if (verdict !== 'valid') throw new Error(verdict);
});
const restore = await onFullDisk(() => world.restore(older));
const recover = await onFullDisk(() => world.recover(older));
const rotate = await onFullDisk(() => world.rotate());

// With space again all goes on, from wherever it stood.
for (const { id } of await world.store.trash()) await world.store.undelete(id);
await world.recover(older);
const recovered = JSON.stringify(await world.held()) === JSON.stringify(stateAt('older'));
await world.restore(newer);
const restored = JSON.stringify(await world.held()) === JSON.stringify(stateAt('newer'));
await world.create();
const verdicts = await Promise.all((await world.complete()).map(async (id) => (await world.verify(id, 1)).verdict));
process.stdout.write(
  `${JSON.stringify({ create, verify, restore, recover, rotate, recovered, restored, verdicts, inClear: await world.inClear() })}\n`,
);
