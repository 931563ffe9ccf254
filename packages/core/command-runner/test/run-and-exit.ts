// Starts a program that would run for ever, names its pid, and exits without waiting for it.
import { run } from '../src/index.ts';

void run(['sh', '-c', 'sleep 1000 & echo $!; wait'], {
  onLine: ({ text }) => {
    process.stdout.write(`${text}\n`, () => process.exit(0));
  },
});
