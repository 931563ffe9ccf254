import { allInTurns, elapsedMs, median } from './lib/measure.ts';
import { report, type Row } from './lib/report.ts';
import { BenchStack, PeerStack } from './lib/stack.ts';

// `up` of a stopped stack until every service is healthy, beside `docker compose up --wait` of the same services without Vault logins.
// Compose learns of health from the containers' own checks alone, so the peer is run twice: with the interval of our compose
// file, and with the shortest that a user would set, which leaves compose nothing to wait for but the servers.

const rounds = 7;

await using stack = await BenchStack.create();
const up = ['up', '--profile', 'minimal', '--progress', 'none'];
process.stderr.write('starting the stack and its two peers\n');
await stack.devstack(...up);
await using peer = await PeerStack.create(stack, '5s');
await peer.compose('up', '-d', '--wait', '--no-build');
await using eager = await PeerStack.create(stack, '1s');
await eager.compose('up', '-d', '--wait', '--no-build');
await Promise.all([stack.devstack('down'), peer.compose('stop'), eager.compose('stop')]);

const plain = (side: PeerStack) => async (): Promise<number> => {
  const tookMs = await elapsedMs(() => side.compose('up', '-d', '--wait', '--no-build'));
  await side.compose('stop');
  return tookMs;
};
const times = await allInTurns(rounds, [
  async () => {
    const tookMs = await elapsedMs(() => stack.devstack(...up));
    process.stderr.write(`up from stopped: ${tookMs.toFixed(0)} ms\n`);
    await stack.devstack('down', '--progress', 'none');
    return tookMs;
  },
  plain(peer),
  plain(eager),
]);

const ours = median(times[0] ?? []);
const row = (against: string, values: readonly number[], judged: boolean): Row => {
  const other = median(values);
  return {
    what: `devstack up, profile minimal, stopped to all healthy; peer ${against}`,
    ours,
    peer: other,
    unit: 'ms',
    ...(judged ? { target: '1.3 × docker compose up --wait', met: ours <= 1.3 * other } : {}),
  };
};
report(
  'up of a stopped stack',
  [
    row('with health checks as in our compose file (every 5 s)', times[1] ?? [], true),
    row('with a check each second', times[2] ?? [], false),
  ],
  [
    `Medians of ${rounds} runs each, in turns; images present, containers stopped. The peer is bench/peers/minimal.yaml over our compose file: same images, limits, networks, ports and health checks, static credentials, the servers as entry points, Vault in development mode (memory, unsealed).`,
    'Ours unseals Vault, logs every service in, and judges by protocol through the published ports; compose judges by the health checks inside, and can not be faster than their interval.',
  ],
);
