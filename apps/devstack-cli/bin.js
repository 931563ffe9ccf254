#!/usr/bin/env node
// The fast path and the compile cache come before anything is loaded: a command's start is its imports.
import { readFileSync } from 'node:fs';
import module from 'node:module';

if (process.argv.length === 3 && (process.argv[2] === '--version' || process.argv[2] === '-v')) {
  process.stdout.write(`${JSON.parse(readFileSync(new URL('./package.json', import.meta.url), 'utf8')).version}\n`);
} else if (Number(process.versions.node.split('.')[0]) < 24) {
  process.stderr.write(
    `error Node ${process.versions.node} is too old: devstack needs 24 or later.\n  next: ./scripts/setup\n`,
  );
  process.exitCode = 1;
} else {
  module.enableCompileCache?.();
  // Drivers that log by the package `debug` print what they send, passwords among it.
  delete process.env.DEBUG;
  const { main } = await import('./dist/main.js');
  await main(process.argv.slice(2));
}
