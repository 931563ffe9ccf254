import { readFile, stat } from 'node:fs/promises';
import { report } from './lib/report.ts';

// How long the last whole `./scripts/test` took, from the report that it wrote itself. Nothing is run here: it is 15 minutes by its own.

const file = new URL('../reports/summary.json', import.meta.url);
const target = '15 min, images present';
const what = './scripts/test, all stages';

interface Summary {
  readonly seconds: number;
  readonly passed: number;
  readonly failed: number;
  readonly stages: readonly { readonly name: string; readonly seconds: number }[];
}

const text = await readFile(file, 'utf8').catch(() => undefined);
if (text === undefined) {
  report(
    'Duration of ./scripts/test',
    [{ what, unit: 'min', target }],
    ['There is no report yet: run ./scripts/test, then this again.'],
  );
} else {
  const summary = JSON.parse(text) as Summary;
  const names = summary.stages.map((stage) => stage.name);
  const isWhole = ['eslint', 'build', 'images', 'tests', 'e2e'].every((name) => names.includes(name));
  const minutes = summary.seconds / 60;
  report(
    'Duration of ./scripts/test',
    [{ what, unit: 'min', target, ...(isWhole ? { ours: minutes, met: minutes <= 15 } : {}) }],
    [
      `The run that ended ${(await stat(file)).mtime.toISOString()}: ${String(summary.passed)} passed, ${String(summary.failed)} failed.`,
      ...(isWhole ? [] : [`It was not a whole run (${names.join(', ')}), so it is not judged.`]),
      `Stages in seconds: ${summary.stages.map((stage) => `${stage.name} ${String(stage.seconds)}`).join(', ')}.`,
    ],
  );
}
