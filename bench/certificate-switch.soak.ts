import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connectPostgres } from '../packages/core/database-connections/src/index.ts';
import { Secret } from '../packages/core/redaction/src/index.ts';
import { median, quietly } from './lib/measure.ts';
import { report } from './lib/report.ts';
import { BenchStack } from './lib/stack.ts';

// Soak: PostgreSQL's certificate is renewed again and again under an open loop of new connections that verify chain and name. Open: a
// connection is begun when its time has come, whether the one before has ended or not, so a pause of the server cannot hide.

const targetRate = 200;
const renewals = 5;

await using stack = await BenchStack.create();
await stack.devstack('up', '--profile', 'minimal', '--progress', 'none');
const ca = await readFile(join(stack.configHome, stack.project, 'certificates/ca.crt'), 'utf8');
const password = new Secret((await stack.devstackOutput('vault', 'show-password', 'postgres')).trim());
const port = 5432 + Number(stack.env['DEVSTACK_PORT_OFFSET']);

async function query(): Promise<number> {
  const begun = performance.now();
  await using connection = await connectPostgres({
    host: '127.0.0.1',
    port,
    username: 'devstack',
    password,
    database: 'devstack',
    tls: { ca, servername: 'postgres' },
    connectTimeoutMs: 10_000,
  });
  await connection.query('SELECT 1');
  return performance.now() - begun;
}

interface Load {
  readonly queries: number;
  readonly failed: readonly string[];
  readonly latencies: readonly number[];
  readonly seconds: number;
}

// What server and client manage together, one after the other in eight lanes, without any switch: a small machine has less than the target,
// and an open loop beyond it would only measure a queue.
async function capacity(seconds: number): Promise<number> {
  const end = performance.now() + seconds * 1000;
  let queries = 0;
  const lane = async (): Promise<void> => {
    for (; performance.now() < end; queries += 1) await query();
  };
  await Promise.all(Array.from({ length: 8 }, lane));
  return queries / seconds;
}

const atMost = await capacity(5);
// Renewing takes processor time as well.
const perSecond = Math.min(targetRate, Math.floor(atMost / 2));
process.stderr.write(
  `${atMost.toFixed(0)} connections a second without a switch; the loop makes ${String(perSecond)}\n`,
);

async function during(work: () => Promise<void>): Promise<Load> {
  const failed: string[] = [];
  const latencies: number[] = [];
  const running = new Set<Promise<void>>();
  let queries = 0;
  const end = new AbortController();
  const begun = performance.now();
  const loop = (async () => {
    while (!end.signal.aborted) {
      const due = Math.floor(((performance.now() - begun) / 1000) * perSecond);
      for (; queries < due; queries += 1) {
        const one: Promise<void> = query()
          .then(
            (ms) => void latencies.push(ms),
            (error: unknown) => void failed.push(String(error)),
          )
          .finally(() => running.delete(one));
        running.add(one);
      }
      await sleep(5);
    }
  })();
  await work();
  end.abort();
  await loop;
  await Promise.all(running);
  return { queries, failed, latencies, seconds: (performance.now() - begun) / 1000 };
}

const renewed = await during(async () => {
  await sleep(1000);
  for (let round = 1; round <= renewals; round += 1) {
    await stack.devstack('certs', 'renew', 'postgres', '--force', '--progress', 'none');
    process.stderr.write(`renewal ${String(round)} of ${String(renewals)}\n`);
    await sleep(1000);
  }
});
// The control: a plain restart, which is what a switch without a reload would be.
const restarted = await during(async () => {
  await sleep(500);
  await quietly('docker', ['restart', `${stack.project}-postgres-1`]);
  await sleep(1500);
});
if (restarted.failed.length === 0)
  throw new Error('A restart failed no query: this load would not see a switch either.');

report(
  'Soak: certificate switch under load',
  [
    {
      what: `failed queries over ${String(renewals)} renewals, ${String(renewed.queries)} new verify-full connections, beside one plain restart`,
      ours: renewed.failed.length,
      peer: restarted.failed.length,
      unit: 'queries',
      target: 'none',
      met: renewed.failed.length === 0,
    },
    {
      what: 'new connections and queries a second',
      ours: renewed.queries / renewed.seconds,
      peer: atMost,
      unit: '/s',
      target: `${String(targetRate)} a second`,
      met: renewed.queries / renewed.seconds >= targetRate * 0.95,
    },
    { what: 'a connection with its query, median', ours: median(renewed.latencies), unit: 'ms' },
  ],
  [
    `Open loop: each connection begins at its time. It verifies chain and name, asks one question and ends. The loop makes ${String(perSecond)} a second: half of what this machine manages without a switch (the peer of the second row), 200 at most.`,
    `The control in the same run, a plain restart of the container, failed ${String(restarted.failed.length)} of ${String(restarted.queries)}.`,
  ],
);
