// Recovers the world in a folder by the real steps and kills itself with SIGKILL at one change of it, named by its number.
import { writeSync } from 'node:fs';
import { recoverWorld, tickFiles } from './old-world.ts';

const [folder = '', killAt = '', failing = ''] = process.argv.slice(2);
let ticks = 0;
const tick = (point: string): void => {
  // The lines of the journal are a matter of the journal's own tests.
  if (point.startsWith('journal')) return;
  ticks += 1;
  if (ticks !== Number(killAt)) return;
  writeSync(1, `${point}\n`);
  process.kill(process.pid, 'SIGKILL');
};
tickFiles(folder, tick);
await recoverWorld({ folder, tick, isFailing: failing !== '' });
