import { randomBytes, randomInt } from 'node:crypto';
import { connectDocker } from '../packages/core/docker-engine/src/index.ts';
import { auditNetwork, parseNetworkPaths, type Member } from '../packages/secrets/network-audit/src/index.ts';
import { inTurns, median, quietly } from './lib/measure.ts';
import { report } from './lib/report.ts';

// Every service of 15 to every other's two ports, from inside: beside one `docker exec` a service, one after the other, whose shell opens
// all connections at once by /dev/tcp with the same patience.

const count = 15;
const rounds = 5;
const timeoutMs = 750;
const prefix = `bench-network-${randomBytes(3).toString('hex')}`;
const subnet = `10.${String(randomInt(40, 120))}.${String(randomInt(0, 250))}`;
const ports = [7000, 7001];
const server = `for (const port of ${JSON.stringify(ports)}) require('node:net').createServer((s) => s.end()).listen(port, '0.0.0.0')`;

await using engine = await connectDocker({ env: process.env });

async function removeAll(): Promise<void> {
  const made = await engine.listContainers({ all: true, labels: { [prefix]: true } });
  await Promise.all(made.map(({ id }) => engine.removeContainer(id, { force: true })));
  for (const name of ['a', 'b', 'c']) await engine.removeNetwork(`${prefix}-${name}`);
}

const onSignal = (): void => {
  void removeAll().finally(() => process.exit(130));
};
process.once('SIGINT', onSignal);
process.once('SIGTERM', onSignal);

try {
  process.stderr.write(`starting ${String(count)} containers in three networks\n`);
  for (const [index, name] of ['a', 'b', 'c'].entries()) {
    const block = `${subnet}.${String(index * 64)}/26`;
    await engine.createNetwork({ name: `${prefix}-${name}`, subnet: block });
  }
  const members: Member[] = [];
  for (let number = 0; number < count; number += 1) {
    const network = `${prefix}-${['a', 'b', 'c'][number % 3] ?? 'a'}`;
    const id = await engine.createContainer({
      name: `${prefix}-${String(number)}`,
      image: 'devstack/base:local',
      argv: ['node', '-e', server],
      labels: { [prefix]: 'yes' },
      network,
    });
    await engine.startContainer(id);
    const { networks } = await engine.inspectContainer(id);
    members.push({
      service: `s${String(number)}`,
      containerId: id,
      networks: { [network]: networks[network]?.ip ?? '' },
      ports,
    });
  }
  // Only two of the networks may talk: what the third has open must be found, in each of its 20 pairs.
  const paths = parseNetworkPaths(
    `networks: [{name: ${prefix}-a, reason: r}, {name: ${prefix}-b, reason: r}]\negress: []\n`,
    'paths.yaml',
  );
  const ours = async (): Promise<void> => {
    const { report: found, matrix } = await auditNetwork({ engine, members, paths, egressTargets: [], timeoutMs });
    const open = matrix.filter(({ can }) => can === 'open').length;
    const isRight =
      found.findings.length === 20 && found.notChecked.length === 0 && found.checkedCount === count * (count - 1);
    if (!isRight || open !== 3 * 5 * 4 * ports.length)
      throw new Error(`The audit did not find what was planted: ${JSON.stringify(found).slice(0, 2000)}`);
  };
  const addresses = members.flatMap(({ networks }) => Object.values(networks).map(String));
  const shell = addresses
    .flatMap((address) =>
      ports.map(
        (port) => `timeout ${String(timeoutMs / 1000)} bash -c '</dev/tcp/${address}/${String(port)}' 2>/dev/null &`,
      ),
    )
    .join('\n');
  const peer = async (): Promise<void> => {
    for (const { containerId } of members)
      await quietly('docker', ['exec', containerId, 'bash', '-c', `${shell}\nwait`]);
  };
  // The servers of the last ones may still be starting.
  for (const { containerId } of members)
    await quietly('docker', [
      'exec',
      containerId,
      'bash',
      '-c',
      "until bash -c '</dev/tcp/127.0.0.1/7001' 2>/dev/null; do sleep 0.1; done",
    ]);
  const times = await inTurns(rounds, ours, peer);
  const row = { ours: median(times.ours), peer: median(times.peer), unit: 'ms' };
  report(
    'network-audit',
    [
      {
        what: `matrix of ${String(count)} x ${String(count)} services, two ports each, with names`,
        ...row,
        target: '2000 ms',
        met: row.ours <= 2000,
      },
    ],
    [
      `Medians of ${String(rounds)} runs each, in turns; a silent address is waited for ${String(timeoutMs)} ms by both, which is the least that either can take.`,
      'The peer is one `docker exec` of a shell for each service, one after the other, that opens all connections at once; it asks for no names and judges nothing.',
      'One of the three networks has no rule: a run that does not find its 20 open pairs fails the bench.',
    ],
  );
} finally {
  process.off('SIGINT', onSignal);
  process.off('SIGTERM', onSignal);
  await removeAll();
}
