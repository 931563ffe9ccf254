// What the figures of a report were measured on.
import { execFileSync } from 'node:child_process';
import { cpus, loadavg, release, totalmem } from 'node:os';

export function describeMachine() {
  return {
    processor: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    // Of the last minute and the last quarter of an hour: above the number of cores, others were at work as well.
    load: [loadavg()[0], loadavg()[2]].map((load) => Number(load.toFixed(1))),
    node: process.version,
    docker: answer('docker', ['version', '--format', '{{.Server.Version}}']),
    compose: answer('docker', ['compose', 'version', '--short']),
    engines: engines(),
    commit:
      answer('git', ['rev-parse', '--short', 'HEAD']) +
      (answer('git', ['status', '--porcelain', '--untracked-files=no']) === '' ? '' : ' and changes'),
  };
}

export function machineLine(machine) {
  return [
    `${machine.cores} cores (${machine.processor}), ${machine.memoryGiB} GiB, load ${machine.load.join(' and ')}`,
    `Linux ${machine.kernel}, Node ${machine.node}, Docker ${machine.docker}, compose ${machine.compose}`,
    `${machine.engines.join(', ')}; commit ${machine.commit}.`,
  ].join('; ');
}

// The programs that really run, as the images say.
function engines() {
  const names = ['vault', 'postgres', 'pgbouncer', 'redis', 'mysql', 'mongodb', 'rabbitmq', 'forgejo'];
  const format = '{{index .Config.Labels "io.devstack.engine"}} {{index .Config.Labels "io.devstack.engine.version"}}';
  return names.flatMap((name) => {
    const text = answer('docker', ['image', 'inspect', '--format', format, `devstack/${name}:local`]);
    return text === 'unknown' || text === '' ? [] : [text];
  });
}

function answer(program, args) {
  try {
    return execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    return 'unknown';
  }
}
