import { randomBytes } from 'node:crypto';
import { auditCapabilities } from '../packages/secrets/capability-audit/src/index.ts';
import { connectDocker } from '../packages/core/docker-engine/src/index.ts';
import { inTurns, median, quietly } from './lib/measure.ts';
import { report } from './lib/report.ts';

// The audit of 100 running containers over one warm connection, beside `docker inspect` and `docker top` of each, one by one, whose output
// somebody would still have to judge.

const count = 100;
const rounds = 5;
const label = `bench-capability-${randomBytes(4).toString('hex')}`;

await using engine = await connectDocker({ env: process.env });
const ids: string[] = [];

async function removeAll(): Promise<void> {
  const made = await engine.listContainers({ all: true, labels: { [label]: true } });
  await Promise.all(made.map(({ id }) => engine.removeContainer(id, { force: true })));
}

const onSignal = (): void => {
  void removeAll().finally(() => process.exit(130));
};
process.once('SIGINT', onSignal);
process.once('SIGTERM', onSignal);

try {
  process.stderr.write(`starting ${String(count)} containers\n`);
  for (let number = 0; number < count; number += 1) {
    const id = await engine.createContainer({
      name: `${label}-${String(number)}`,
      image: 'devstack/base:local',
      argv: ['sleep', '3600'],
      labels: { [label]: 'yes' },
      network: 'none',
      user: '1000',
      capDrop: ['ALL'],
      // Every tenth has something to be found.
      capAdd: number % 10 === 0 ? ['SYS_PTRACE'] : [],
      securityOptions: ['no-new-privileges'],
      readOnlyRoot: true,
      memoryBytes: 16_777_216,
      cpus: 1,
      pids: 10,
    });
    await engine.startContainer(id);
    ids.push(id);
  }
  const ours = async (): Promise<void> => {
    const { report: found } = await auditCapabilities({ engine, containers: { labels: { [label]: true } } });
    const isRight = found.checkedCount === count && found.notChecked.length === 0 && found.findings.length === 20;
    if (!isRight) throw new Error(`The audit did not find what was planted: ${JSON.stringify(found).slice(0, 2000)}`);
  };
  const peer = async (): Promise<void> => {
    for (const id of ids) {
      await quietly('docker', ['inspect', id]);
      await quietly('docker', ['top', id]);
    }
  };
  const times = await inTurns(rounds, ours, peer);
  const row = { ours: median(times.ours), peer: median(times.peer), unit: 'ms' };
  const what = `audit of ${String(count)} running containers, one warm connection`;
  report(
    'capability-audit',
    [
      { what, ...row, target: '1000 ms', met: row.ours <= 1000 },
      { what: `${what}, beside inspect and top one by one`, ...row, target: '1/5', met: row.ours <= row.peer / 5 },
    ],
    [
      `Medians of ${String(rounds)} runs each, in turns; the peer is \`docker inspect\` and \`docker top\` of each container, one after the other, without any judgement.`,
      'Ten of the containers have a planted capability; a run that does not find it in each fails the bench.',
    ],
  );
} finally {
  process.off('SIGINT', onSignal);
  process.off('SIGTERM', onSignal);
  await removeAll();
}
