// bench-report NAME RESULT FOLDER [SECONDS]: writes FOLDER/DATE-NAME.{json,md} from the JSON that a bench printed, and prints its table.
// Exit status: 0 all targets met, 1 not a result, 3 a target was missed.
import { readFileSync, writeFileSync } from 'node:fs';
import { describeMachine, machineLine } from './bench-machine.js';
import { columns, line } from './bench-table.js';

const [name, file, folder, seconds] = process.argv.slice(2);
let result;
try {
  result = JSON.parse(readFileSync(file, 'utf8'));
  if (!Array.isArray(result.rows) || result.rows.length === 0) throw new Error('it has no rows');
} catch (error) {
  console.error(`prove: bench ${name} printed no result: ${error.message}`);
  process.exit(1);
}

const date = new Date().toISOString();
const machine = describeMachine();
const command = `./scripts/prove --only ${name}`;
const missed = result.rows.filter((row) => row.met === false);
const markdown = [
  `# ${result.title ?? name}, ${date.slice(0, 16).replace('T', ' ')} UTC`,
  '',
  machineLine(machine),
  '',
  `\`${command}\`${seconds === undefined ? '' : `, ${seconds} s`}`,
  '',
  ...columns,
  ...result.rows.map(line),
  '',
  ...(result.notes ?? []).map((note) => `- ${note}`),
  '',
].join('\n');
const stem = `${folder}/${date.slice(0, 10)}-${name}`;
writeFileSync(`${stem}.json`, `${JSON.stringify({ name, date, command, machine, ...result }, undefined, 2)}\n`);
writeFileSync(`${stem}.md`, markdown);
console.log(markdown);
console.error(`${stem}.md, ${missed.length === 0 ? 'all targets met' : `${missed.length} targets missed`}`);
process.exit(missed.length === 0 ? 0 : 3);
