// summary STAGES FOLDER SECONDS: writes FOLDER/summary.{json,md}, adds to the job summary of GitHub Actions, and prints the closing line.
import { appendFileSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';

const [stagesFile, folder, seconds] = process.argv.slice(2);
const stages = readFileSync(stagesFile, 'utf8')
  .split('\n')
  .filter((line) => line !== '')
  .map((line) => {
    const [name, passed, failed, tookS] = line.split(' ');
    return { name, passed: Number(passed), failed: Number(failed), seconds: Number(tookS) };
  });
const passed = stages.reduce((sum, stage) => sum + stage.passed, 0);
const failed = stages.reduce((sum, stage) => sum + stage.failed, 0);
const { failures, slowest, skipped } = readReports();

const markdown = [
  `## ${failed === 0 ? 'Passed' : 'Failed'}: ${passed} passed, ${failed} failed in ${seconds} s`,
  '',
  '| stage | passed | failed | seconds |',
  '| --- | ---: | ---: | ---: |',
  ...stages.map((stage) => `| ${stage.name} | ${stage.passed} | ${stage.failed} | ${stage.seconds} |`),
  ...(failures.length === 0 ? [] : ['', '### Failed tests', '', ...failures.map((failure) => `- ${failure}`)]),
  ...(skipped.length === 0 ? [] : ['', '### Skipped tests', '', ...skipped.map((test) => `- ${test}`)]),
  '',
  '### Slowest test files',
  '',
  ...slowest.map(({ file, tookS }) => `- ${tookS.toFixed(1)} s ${file}`),
  '',
].join('\n');
writeFileSync(`${folder}/summary.md`, markdown);
writeFileSync(
  `${folder}/summary.json`,
  `${JSON.stringify({ passed, failed, seconds: Number(seconds), stages, failures, skipped }, undefined, 2)}\n`,
);
if (process.env.GITHUB_STEP_SUMMARY) appendFileSync(process.env.GITHUB_STEP_SUMMARY, markdown);

console.error('');
for (const stage of stages) {
  console.error(
    `${stage.failed === 0 ? 'ok    ' : 'FAILED'} ${stage.name.padEnd(14)} ${stage.passed} passed, ${stage.failed} failed, ${stage.seconds} s`,
  );
}
for (const failure of failures) console.error(`  failed: ${failure}`);
console.error(`${folder}/summary.md has the whole of it; ${seconds} s`);
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 && passed > 0 ? 0 : 1);

function readReports() {
  const files = readdirSync(folder)
    .filter((name) => name.endsWith('.json') && name !== 'summary.json')
    .flatMap((name) => JSON.parse(readFileSync(`${folder}/${name}`, 'utf8')).testResults ?? []);
  const named = (file, test) => `${file.name.replace(`${process.cwd()}/`, '')}: ${test.fullName.trim()}`;
  const withStatus = (...wanted) =>
    files.flatMap((file) =>
      file.assertionResults.filter((test) => wanted.includes(test.status)).map((test) => named(file, test)),
    );
  const unloadable = files.filter(
    (file) => file.status === 'failed' && file.assertionResults.every((test) => test.status !== 'failed'),
  );
  return {
    failures: [
      ...withStatus('failed'),
      ...unloadable.map((file) => `${file.name.replace(`${process.cwd()}/`, '')}: could not be loaded`),
    ],
    skipped: withStatus('skipped', 'pending', 'todo'),
    slowest: files
      .map((file) => ({
        file: file.name.replace(`${process.cwd()}/`, ''),
        tookS: (file.endTime - file.startTime) / 1000,
      }))
      .toSorted((a, b) => b.tookS - a.tookS)
      .slice(0, 10),
  };
}
