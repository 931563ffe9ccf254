// check-coverage SUMMARY PERCENT: each published library must have that share of its lines covered; prints one line per library.
import { readFileSync, readdirSync, existsSync } from 'node:fs';

const [summaryFile, percent] = process.argv.slice(2);
const lines = new Map();
for (const group of readdirSync('packages')) {
  for (const name of readdirSync(`packages/${group}`)) {
    const manifest = `packages/${group}/${name}/package.json`;
    if (existsSync(manifest) && JSON.parse(readFileSync(manifest, 'utf8')).private !== true)
      lines.set(`packages/${group}/${name}`, { total: 0, covered: 0 });
  }
}
for (const [file, summary] of Object.entries(JSON.parse(readFileSync(summaryFile, 'utf8')))) {
  const library = /packages\/[^/]+\/[^/]+(?=\/src\/)/.exec(file)?.[0];
  const sum = lines.get(library);
  if (sum === undefined) continue;
  sum.total += summary.lines.total;
  sum.covered += summary.lines.covered;
}
let failed = 0;
for (const [library, { total, covered }] of [...lines].toSorted()) {
  const share = total === 0 ? 0 : (100 * covered) / total;
  const enough = share >= Number(percent);
  if (!enough) failed += 1;
  console.log(
    `${enough ? 'ok    ' : 'FAILED'} ${share.toFixed(1).padStart(5)} % of ${String(total).padStart(4)} lines  ${library}`,
  );
}
console.log(failed === 0 ? `all libraries have ${percent} %` : `${failed} libraries have less than ${percent} %`);
process.exit(failed === 0 ? 0 : 1);
