// bench-report NAME RESULT FOLDER: writes FOLDER/DATE-NAME.{json,md} from the JSON that a bench printed, and prints its table.
// Exit status: 0 all targets met, 1 not a result, 3 a target was missed.
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';

const [name, file, folder] = process.argv.slice(2);
let result;
try {
  result = JSON.parse(readFileSync(file, 'utf8'));
  if (!Array.isArray(result.rows) || result.rows.length === 0) throw new Error('it has no rows');
} catch (error) {
  console.error(`prove: bench ${name} printed no result: ${error.message}`);
  process.exit(1);
}

const date = new Date().toISOString();
const machine = {
  cores: cpus().length,
  memoryGiB: Math.round(totalmem() / 2 ** 30),
  kernel: release(),
  node: process.version,
  docker: answer('docker', ['version', '--format', '{{.Server.Version}}']),
  commit:
    answer('git', ['rev-parse', '--short', 'HEAD']) +
    (answer('git', ['status', '--porcelain', '--untracked-files=no']) === '' ? '' : ' and changes'),
};
const missed = result.rows.filter((row) => row.met === false);
const show = (value, unit) =>
  typeof value === 'number' ? `${Number(value.toPrecision(4))}${unit === undefined ? '' : ` ${unit}`}` : (value ?? '');
const markdown = [
  `# ${result.title ?? name}, ${date.slice(0, 16).replace('T', ' ')} UTC`,
  '',
  `${machine.cores} cores, ${machine.memoryGiB} GiB, Linux ${machine.kernel}, Node ${machine.node}, Docker ${machine.docker}, commit ${machine.commit}.`,
  '',
  '| what | ours | peer | ratio | target | met |',
  '| --- | ---: | ---: | ---: | --- | --- |',
  ...result.rows.map((row) => {
    const ratio =
      row.ratio ?? (typeof row.ours === 'number' && typeof row.peer === 'number' ? row.ours / row.peer : undefined);
    return `| ${row.what} | ${show(row.ours, row.unit)} | ${show(row.peer, row.unit)} | ${ratio === undefined ? '' : ratio.toFixed(2)} | ${row.target ?? ''} | ${row.met === undefined ? '' : row.met ? 'yes' : '**no**'} |`;
  }),
  '',
  ...(result.notes ?? []).map((note) => `- ${note}`),
  '',
].join('\n');
const stem = `${folder}/${date.slice(0, 10)}-${name}`;
writeFileSync(`${stem}.json`, `${JSON.stringify({ name, date, machine, ...result }, undefined, 2)}\n`);
writeFileSync(`${stem}.md`, markdown);
console.log(markdown);
console.error(`${stem}.md, ${missed.length === 0 ? 'all targets met' : `${missed.length} targets missed`}`);
process.exit(missed.length === 0 ? 0 : 3);

function answer(program, args) {
  try {
    return execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    return 'unknown';
  }
}
