// Runs the program of the arguments interactively and reports its exit code on stderr.
import { isDevstackError } from '@devstack-core/errors';
import { Secret } from '@devstack-core/redaction';
import { runInteractive } from '../src/index.ts';

const [input = '', program = '', ...args] = process.argv.slice(2);
try {
  const code = await runInteractive([program, ...args], input === '' ? {} : { stdin: new Secret(input) });
  process.stderr.write(`code ${String(code)}\n`);
} catch (error) {
  process.stderr.write(`error ${isDevstackError(error) ? error.code : String(error)}\n`);
}
