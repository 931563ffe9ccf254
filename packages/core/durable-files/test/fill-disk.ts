// Runs on a file system of 64 KiB of its own and prints what happened, as JSON.
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isDevstackError } from '@devstack-core/errors';
import { openJournal, writeFileDurable } from '../src/index.ts';

const [folder = ''] = process.argv.slice(2);
const file = join(folder, 'keys.json');
await writeFileDurable(file, 'old');
const journal = await openJournal({ path: join(folder, 'journal') });
await journal.run('first', () => Promise.resolve());

const writeCode = await codeOf(writeFileDurable(file, 'x'.repeat(200_000)));
const afterWrite = await readFile(file, 'utf8');
const left = await readdir(folder);

await writeFile(join(folder, 'filler'), 'x'.repeat(200_000)).catch(() => undefined);
const journalCode = await codeOf(journal.done('second', 'y'.repeat(20_000)));
await writeFile(join(folder, 'filler'), '');
await journal.done('third');
await journal.close();
await using again = await openJournal({ path: join(folder, 'journal') });
process.stdout.write(
  `${JSON.stringify({ writeCode, afterWrite, left, journalCode, steps: again.steps().map(({ step }) => step) })}\n`,
);

async function codeOf(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => 'none',
    (error: unknown) => (isDevstackError(error) ? error.code : String(error)),
  );
}
