import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { elapsedMs, output, quietly } from './lib/measure.ts';
import { report } from './lib/report.ts';
import { BenchStack } from './lib/stack.ts';

// Soak: `down` and `up` again and again. The last rounds are compared with the first: nothing may grow, get lost or become slower.

const rounds = 12;

await using stack = await BenchStack.create();
const up = ['up', '--profile', 'minimal', '--progress', 'none'];
await stack.devstack(...up);
const password = await stack.devstackOutput('vault', 'show-password', 'postgres');
const before = await things();

const times: number[] = [];
let lost = 0;
for (let round = 0; round < rounds; round += 1) {
  times.push(
    await elapsedMs(async () => {
      await stack.devstack('down', '--progress', 'none');
      await stack.devstack(...up);
    }),
  );
  if ((await stack.devstackOutput('vault', 'show-password', 'postgres')) !== password) lost += 1;
  process.stderr.write(`round ${String(round + 1)} of ${String(rounds)}: ${(times.at(-1) ?? 0).toFixed(0)} ms\n`);
}
const grown = growth(before, await things());

// The control: a volume that nobody takes away has to be seen.
const leak = `${stack.project}_leak`;
await quietly('docker', ['volume', 'create', '--label', `com.docker.compose.project=${stack.project}`, leak]);
const seen = growth(before, await things()).length - grown.length;
await quietly('docker', ['volume', 'rm', leak]);
if (seen !== 1) throw new Error(`One volume was planted and ${String(seen)} were seen.`);

const third = Math.floor(rounds / 3);
// The fastest of each: what else the machine does in these minutes only ever adds.
const [first, last] = [Math.min(...times.slice(0, third)), Math.min(...times.slice(-third))];
report(
  'Soak: down and up',
  [
    {
      what: `down and up, the fastest of the last ${String(third)} of ${String(rounds)} rounds beside that of the first ${String(third)}`,
      ours: last,
      peer: first,
      unit: 'ms',
      target: '1.25 × the first rounds',
      met: last <= 1.25 * first,
    },
    {
      what: `containers, volumes, networks and files that came to be in ${String(rounds)} rounds`,
      ours: grown.length,
      unit: 'things',
      target: 'none',
      met: grown.length === 0,
    },
    {
      what: 'rounds after which the password in Vault was another',
      ours: lost,
      unit: 'rounds',
      target: 'none',
      met: lost === 0,
    },
  ],
  ['A volume was planted in the same run, and seen.', ...grown.map((thing) => `Left behind: ${thing}`)],
);

/** Everything that belongs to the project, by name. */
async function things(): Promise<readonly string[]> {
  const label = `label=com.docker.compose.project=${stack.project}`;
  const lists = await Promise.all([
    output('docker', ['ps', '-a', '--format', 'container {{.Names}}', '--filter', label]),
    output('docker', ['volume', 'ls', '--format', 'volume {{.Name}}', '--filter', label]),
    output('docker', ['network', 'ls', '--format', 'network {{.Name}}', '--filter', label]),
  ]);
  const files = await readdir(join(stack.configHome, stack.project), { recursive: true });
  return [...lists.flatMap((text) => text.trim().split('\n')), ...files.map((file) => `file ${file}`)];
}

// By kind: a lease's file is named after a counter, and is another one each time.
function growth(earlier: readonly string[], later: readonly string[]): readonly string[] {
  const kind = (thing: string): string => thing.replaceAll(/\d{6,}/g, 'N');
  const count = (list: readonly string[], wanted: string): number => list.filter((one) => kind(one) === wanted).length;
  return [...new Set(later.map(kind))].flatMap((one) => {
    const more = count(later, one) - count(earlier, one);
    return more > 0 ? [`${one} (${String(more)} more)`] : [];
  });
}
