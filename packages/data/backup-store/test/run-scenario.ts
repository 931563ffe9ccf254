// Runs one piece of a store's work and stops for ever at the wanted step, having named it: whoever reads the name kills this process there.
// Arguments: folder, scenario, step, how many times the step passes before it stops (or milliseconds until it kills itself, for the step "time").
import { join } from 'node:path';
import { setInterval, setTimeout } from 'node:timers';
import { directoryTarget, openBackupStore, type StoreStep } from '../src/index.ts';
import { makeSet, otherPassphrase, passphrase } from './store-folder.ts';
import { killedContents } from './scenarios.ts';

const [directory = '', scenario = '', stopAt = '', countText = '1'] = process.argv.slice(2);
let left = Number(countText);
if (stopAt === 'time') setTimeout(() => process.kill(process.pid, 'SIGKILL'), Number(countText));

const store = openBackupStore({
  directory,
  passphrase,
  tool: { name: 'devstack', version: '1.0.0' },
  timeZone: 'UTC',
  onStep: async (step: StoreStep) => {
    process.stdout.write(`${step}\n`);
    if (step !== stopAt) return;
    left -= 1;
    if (left > 0) return;
    process.stdout.write('stopped\n');
    await new Promise(() => setInterval(() => undefined, 1000));
  },
});
const target = directoryTarget({ path: join(directory, '..', 'offsite') });
const [newest] = await store.list();

const scenarios: Readonly<Record<string, () => Promise<unknown>>> = {
  create: () => makeSet(store, { contents: killedContents, ...(newest === undefined ? {} : { parent: newest.id }) }),
  rotate: () => store.rotate({ keepLast: 1 }),
  purge: () => store.sweep({ emptyTrash: true }),
  passphrase: () => store.changePassphrase(otherPassphrase),
  copy: () => store.copySet(newest?.id ?? '', target),
  fetch: async () => store.fetchSet((await target.sets()).at(-1) ?? '', target),
};
await scenarios[scenario]?.();
process.stdout.write('finished\n');
