// Takes a lease many times and checks that nobody else is inside meanwhile. Prints the tokens.
import { rmdir, mkdir } from 'node:fs/promises';
import { acquireLease } from '../src/index.ts';

const [path = '', inside = '', rounds = '0'] = process.argv.slice(2);
const tokens: number[] = [];
for (let round = 0; round < Number(rounds); round += 1) {
  await using lease = await acquireLease({ path, owner: 'contender', waitMs: 30_000 });
  await mkdir(inside);
  tokens.push(lease.token);
  await lease.assertHeld();
  await rmdir(inside);
}
process.stdout.write(`${JSON.stringify(tokens)}\n`);
