// Masking many secrets in a large text: this package beside one search per needle and beside one regular expression of all needles.
// Run: node -C @devstack-core/source packages/core/redaction/test/scan.bench.ts
import { randomBytes } from 'node:crypto';
import { SecretRegistry, mask } from '../src/index.ts';

const registry = new SecretRegistry();
const secrets = Array.from({ length: 40 }, () => randomBytes(24).toString('base64').replaceAll('/', 'a'));
for (const secret of secrets) registry.add(secret);
const needles = registry.needles().map(({ text }) => text.reveal());
const line =
  '2026-01-01T00:00:00.000Z info request finished method=GET path=/api/v1/notes status=200 durationMs=3.2 requestId=';
const text = Array.from({ length: 60_000 }, (_, index) =>
  index % 500 === 0 ? `leak ${secrets[index % 40] ?? ''}` : line + randomBytes(8).toString('hex'),
).join('\n');
const expression = new RegExp(
  needles
    .toSorted((a, b) => b.length - a.length)
    .map((needle) => needle.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&'))
    .join('|'),
  'g',
);

const contenders: Readonly<Record<string, () => string>> = {
  'one pass (this package)': () => registry.redact(text),
  'one replaceAll per needle': () => needles.reduce((current, needle) => current.replaceAll(needle, mask), text),
  'one regular expression': () => text.replace(expression, mask),
};

const expected = registry.redact(text);
const medians = Object.entries(contenders).map(([name, redact]) => {
  if (redact() !== expected) throw new Error(`${name} gives another text`);
  const times = Array.from({ length: 7 }, () => {
    const startedAt = performance.now();
    redact();
    return performance.now() - startedAt;
  });
  return { name, medianMs: times.toSorted((a, b) => a - b)[3] ?? 0 };
});
console.log(
  `${String(needles.length)} needles of ${String(secrets.length)} secrets, ${(text.length / 1e6).toFixed(1)} MB of text`,
);
for (const { name, medianMs } of medians) {
  console.log(
    `${name.padEnd(28)} ${medianMs.toFixed(1).padStart(8)} ms  ×${(medianMs / (medians[0]?.medianMs ?? 1)).toFixed(1)}`,
  );
}
