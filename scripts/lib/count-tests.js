// count-tests REPORT STATUS: prints "PASSED FAILED" of a vitest JSON report. A file that could not be loaded has no tests but is a failure,
// and so is a runner that failed for another reason (an unhandled error, a missing report).
import { readFileSync } from 'node:fs';

const [path, status] = process.argv.slice(2);
const report = JSON.parse(readFileSync(path, 'utf8'));
const broken = report.testResults.filter(
  (file) => file.status === 'failed' && !file.assertionResults.some((test) => test.status === 'failed'),
);
const failed = report.numFailedTests + broken.length;
console.log(`${report.numPassedTests} ${failed === 0 && status !== '0' ? 1 : failed}`);
