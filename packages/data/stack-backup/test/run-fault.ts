// Does one operation in a folder and sends itself a signal at one point of it. Prints each point, and in the end `done` or the code of the error.
// Arguments: folder, operation, signal, point, how many times the point passes before (0 and more), id of the set, `torn` for the control.
import { writeSync } from 'node:fs';
import { isDevstackError, interrupted } from '@devstack-core/errors';
import { FaultWorld } from './fault-world.ts';

const [folder = '', operation = '', signal = 'SIGKILL', at = '', skip = '0', id = '', mode = ''] =
  process.argv.slice(2);
const controller = new AbortController();
// As the command line does it: the first SIGTERM asks to stop and to give back what was taken.
process.on('SIGTERM', () => {
  controller.abort(interrupted('The command'));
});

let left = Number(skip);
const tick = (point: string): void => {
  writeSync(1, `${point}\n`);
  if (point !== at) return;
  left -= 1;
  if (left !== -1) return;
  process.kill(process.pid, signal);
  // What Node hears of only when it is idle, the operation has to meet at this very point.
  if (signal === 'SIGTERM') controller.abort(interrupted('The command'));
};
const world = new FaultWorld(folder, {
  tick,
  onStep: (step) => {
    tick(`store ${step}`);
  },
  onJournalLine: (point) => {
    tick(`journal ${point}`);
  },
  onVerify: (event) => {
    tick(`verify ${event}`);
  },
  isTorn: mode === 'torn',
  signal: controller.signal,
});
const operations: Readonly<Record<string, () => Promise<unknown>>> = {
  create: () => world.create(),
  rotate: () => world.rotate(),
  verify: () => world.verify(id),
  restore: () => world.restore(id),
  recover: () => world.recover(),
};
try {
  await operations[operation]?.();
  writeSync(1, 'done\n');
} catch (error) {
  writeSync(1, `${isDevstackError(error) ? error.code : String(error)}\n`);
  process.exitCode = 1;
}
