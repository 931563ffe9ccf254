// bench-summary FOLDER SECONDS NAME[:failed]…: writes FOLDER/DATE-summary.md, the verdict on every target of this run, and prints it.
// Exit status: 0, also where targets were missed.
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { describeMachine, machineLine } from './bench-machine.js';
import { columns, line } from './bench-table.js';

const [folder, seconds, ...names] = process.argv.slice(2);
const date = new Date().toISOString();
const failed = names.filter((name) => name.endsWith(':failed')).map((name) => name.replace(/:failed$/, ''));
const results = names.filter((name) => !name.endsWith(':failed')).flatMap(newest);
const rows = results.flatMap((result) => result.rows.filter((row) => row.target !== undefined));
const count = (met) => rows.filter((row) => row.met === met).length;
const markdown = [
  `# Targets, ${date.slice(0, 16).replace('T', ' ')} UTC`,
  '',
  machineLine(describeMachine()),
  '',
  `\`./scripts/prove\`: ${results.map((result) => result.name).join(', ')}; ${seconds} s. ${count(true)} targets met, ${count(false)} missed, ${count(undefined)} not judged.`,
  '',
  ...columns,
  ...rows.map(line),
  '',
  ...failed.map((name) => `- **${name} failed** and has no figures.`),
  ...(failed.length === 0 ? [] : ['']),
].join('\n');
if (names.length > 1) writeFileSync(`${folder}/${date.slice(0, 10)}-summary.md`, markdown);
console.log(markdown);

/** The report that this run wrote; around midnight its date may be yesterday's. */
function newest(name) {
  const file = readdirSync(folder)
    .filter((entry) => new RegExp(`^\\d{4}-\\d\\d-\\d\\d-${name}\\.json$`).test(entry))
    .toSorted()
    .at(-1);
  return file === undefined ? [] : [JSON.parse(readFileSync(`${folder}/${file}`, 'utf8'))];
}
