import { inTurns, median, quietly } from './lib/measure.ts';
import { report, type Row } from './lib/report.ts';

// What a user waits before the command line says anything, beside a Node process that does nothing.

const cli = new URL('../apps/devstack-cli/bin.js', import.meta.url).pathname;
const rounds = 25;

async function row(option: string, allowedMs: number): Promise<Row> {
  const times = await inTurns(
    rounds,
    () => quietly(process.execPath, [cli, option]),
    () => quietly(process.execPath, ['-e', '0']),
  );
  const [ours, peer] = [median(times.ours), median(times.peer)];
  return {
    what: `devstack ${option}`,
    ours,
    peer,
    unit: 'ms',
    target: `node -e 0 + ${allowedMs} ms`,
    met: ours <= peer + allowedMs,
  };
}

report(
  'Start of the command line',
  [await row('--version', 20), await row('--help', 100)],
  [`Medians of ${rounds} runs each, in turns; the peer is \`node -e 0\` of the same Node.`],
);
