// Writes a file and stops for ever after one step, having named it: whoever reads the name kills this process there.
import { setInterval } from 'node:timers';
import { writeFileDurable } from '../src/index.ts';

const [path = '', content = '', stopAfter] = process.argv.slice(2);
await writeFileDurable(path, content, {
  onStep: async (step) => {
    if (step !== stopAfter) return;
    process.stdout.write(`${step}\n`);
    await new Promise(() => setInterval(() => undefined, 1000));
  },
});
process.stdout.write('finished\n');
