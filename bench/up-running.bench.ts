import { inTurns, median } from './lib/measure.ts';
import { report } from './lib/report.ts';
import { BenchStack } from './lib/stack.ts';

// `up` where nothing is to be done, beside `docker compose up -d` of the same project: both look and leave everything as it is. Ours also
// checks ports, images, Vault's seal, roles and logins, and asks every service by its own protocol.

const rounds = 9;

await using stack = await BenchStack.create();
const up = ['up', '--profile', 'minimal', '--progress', 'none'];
await stack.devstack(...up);

let touchedByOurs = 0;
let touchedByPeer = 0;
let before = await stack.containers();
const touched = async (): Promise<number> => {
  const after = await stack.containers();
  const count = after.split('\n').filter((line) => !before.includes(line)).length;
  before = after;
  return count;
};
const times = await inTurns(
  rounds,
  () => stack.devstack(...up),
  () => stack.compose('--profile', 'minimal', 'up', '-d'),
  async (side) => {
    if (side === 'ours') touchedByOurs += await touched();
    else touchedByPeer += await touched();
  },
);
// The control: a restart has to be seen.
await stack.compose('restart', 'redis-1');
const seen = await touched();
if (seen !== 1) throw new Error(`One container was restarted and ${String(seen)} were seen as touched.`);

const [ours, peer] = [median(times.ours), median(times.peer)];
report(
  'up on a running, healthy stack',
  [
    {
      what: `devstack up, profile minimal, running and healthy (adds ${(ours - peer).toFixed(0)} ms)`,
      ours,
      peer,
      unit: 'ms',
      target: 'docker compose up -d + 500 ms',
      met: ours <= peer + 500,
    },
    {
      what: 'containers touched',
      ours: touchedByOurs,
      peer: touchedByPeer,
      unit: 'containers',
      target: 'none',
      met: touchedByOurs === 0,
    },
  ],
  [
    `Medians of ${rounds} runs each, in turns; the peer is \`docker compose up -d\` with the env file that up wrote.`,
    'Touched: its id or its start time is another than before. A restart of one container in the same run was seen.',
  ],
);
