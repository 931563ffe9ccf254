// Recovers the fake world in a folder and kills itself with SIGKILL at one tick, named by its number.
import { writeSync } from 'node:fs';
import { runFake } from './run-fake.ts';

const [folder = '', killAt = '', failing = ''] = process.argv.slice(2);
let ticks = 0;
await runFake({
  folder,
  failing: failing === '' ? undefined : failing,
  tick: (point) => {
    ticks += 1;
    if (ticks !== Number(killAt)) return;
    writeSync(1, `${point}\n`);
    process.kill(process.pid, 'SIGKILL');
  },
});
