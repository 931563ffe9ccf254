import { inTurns, median } from './lib/measure.ts';
import { report } from './lib/report.ts';
import { BenchStack } from './lib/stack.ts';

// `status` of all services, beside `docker compose ps` of the same project, which shows less of them.

const rounds = 15;

await using stack = await BenchStack.create();
process.stderr.write('starting all services\n');
await stack.devstack('up', '--profile', 'reference', '--progress', 'none');
const { services } = JSON.parse(await stack.devstackOutput('status', '--json')) as {
  readonly services: readonly { readonly state: string }[];
};
const running = services.filter((service) => service.state === 'running').length;
if (running === 0 || running !== services.length) {
  throw new Error(`${String(running)} of ${String(services.length)} services are running; the bench needs all.`);
}
const times = await inTurns(
  rounds,
  () => stack.devstack('status'),
  () => stack.compose('--profile', 'reference', 'ps', '--all'),
);
const ours = median(times.ours);
report(
  'status',
  [
    {
      what: `devstack status, ${String(running)} services running`,
      ours,
      peer: median(times.peer),
      unit: 'ms',
      target: '1000 ms',
      met: ours <= 1000,
    },
  ],
  [
    `Medians of ${rounds} runs each, in turns; the peer is \`docker compose ps --all\` of the same project.`,
    `The target says 15 services; the stack has ${String(services.length)} by now, all running. One list, one look at each and at its image, all at once: four more add a few milliseconds.`,
  ],
);
