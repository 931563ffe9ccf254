import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connectPostgres } from '../packages/core/database-connections/src/index.ts';
import { Secret } from '../packages/core/redaction/src/index.ts';
import { report } from './lib/report.ts';
import { BenchStack } from './lib/stack.ts';

// Soak: `devstack recover` is killed with SIGKILL in each of its steps, resumed, killed in the next one, and so on to its end, several times
// over. Each recovery has to end with what the backup has, and nothing kept aside may be left.

const rounds = 3;
/** How long after a step has begun it is killed, at most: so long that something is under way, and shorter than the step. */
const steps = { engine: 0, configuration: 200, vault: 6000, services: 3000, databases: 3000, proof: 2000 } as const;
type Step = keyof typeof steps | 'backup';

const root = new URL('..', import.meta.url).pathname.replace(/\/$/, '');
const cli = join(root, 'apps/devstack-cli/bin.js');
const folder = await mkdtemp(join(tmpdir(), 'devstack-recover-kills-'));
const passphraseFile = join(folder, 'passphrase');
await writeFile(passphraseFile, randomBytes(24).toString('base64url'), { mode: 0o600 });
const backups = ['--directory', join(folder, 'sets'), '--passphrase-file', passphraseFile];

await using stack = await BenchStack.create();
const journal = join(stack.configHome, '.recovery/recovery.journal');
await stack.devstack('up', '--profile', 'minimal', '--progress', 'none');
await query('CREATE TABLE kept AS SELECT i, sha256(i::text::bytea) AS b FROM generate_series(1, 2000) i');
const before = await state();
await stack.devstack('backup', 'create', '--progress', 'none', ...backups);
await query('CREATE TABLE later AS SELECT 1');

const hits: Step[] = [];
let wrong = 0;
let halfway = 0;
for (let round = 0; round < rounds; round += 1) {
  for (const step of ['backup', ...Object.keys(steps)] as Step[]) {
    const hit = await killIn(step);
    hits.push(hit);
    process.stderr.write(`round ${String(round + 1)} of ${String(rounds)}: killed in ${hit}\n`);
    // The control: what was cut off in the middle is not what the backup has, and is not taken for it.
    if (hit === 'vault' && (await state().catch(() => 'not there')) !== before) halfway += 1;
  }
  const code = await ended(recover(...(await resumed())));
  if (code !== 0 || (await state()) !== before || (await leftovers()).length > 0) wrong += 1;
  await query('CREATE TABLE later AS SELECT 1').catch(() => undefined);
}
await rm(folder, { recursive: true, force: true });
if (halfway === 0) throw new Error('No kill has left anything halfway: the kills do nothing.');

const counts = Object.entries(Object.groupBy(hits, (hit) => hit)).map(([step, all]) => `${step} ${String(all.length)}`);
const missed = (['backup', ...Object.keys(steps)] as Step[]).filter(
  (step) => hits.filter((hit) => hit === step).length < rounds,
);
report(
  'Soak: recover, killed in each step',
  [
    {
      what: `recoveries killed ${String(hits.length / rounds)} times each that did not end with what the backup has, or left something aside`,
      ours: wrong,
      unit: `of ${String(rounds)}`,
      target: 'none',
      met: wrong === 0,
    },
    {
      what: `steps that were not hit ${String(rounds)} times${missed.length === 0 ? '' : `: ${missed.join(', ')}`}`,
      ours: missed.length,
      unit: 'steps',
      target: 'none',
      met: missed.length === 0,
    },
  ],
  [
    `Killed in: ${counts.join(', ')}.`,
    `After ${String(halfway)} kills in the step vault the stack was not what the backup has.`,
  ],
);

/** A recovery, or what is left of one. */
function recover(...more: readonly string[]): ChildProcess {
  const args = [cli, 'recover', '--force', '--progress', 'none', ...backups, ...more];
  return spawn(process.execPath, args, { cwd: root, env: stack.env, stdio: ['ignore', 'ignore', 'inherit'] });
}

async function ended(child: ChildProcess): Promise<number | null> {
  await once(child, 'exit');
  return child.exitCode;
}

/** Starts or goes on, and kills in that step. Gives the step that was under way. */
async function killIn(step: Step): Promise<Step> {
  const child = recover(...(await resumed()));
  const exit = once(child, 'exit');
  if (step === 'backup') await sleep(700 + Math.random() * 500);
  else {
    const isThere = step === 'engine' ? 'done backup' : `attempt ${step}`;
    const known = (await lines()).filter((line) => line === isThere).length;
    while (child.exitCode === null && (await lines()).filter((line) => line === isThere).length <= known)
      await sleep(5);
    await sleep(Math.random() * steps[step]);
  }
  child.kill('SIGKILL');
  await exit;
  if (child.exitCode !== null) throw new Error(`It ended with ${String(child.exitCode)} before the step ${step}.`);
  const all = await lines();
  return (Object.keys(steps) as Step[]).find((one) => all.length > 0 && !all.includes(`done ${one}`)) ?? 'backup';
}

async function resumed(): Promise<readonly string[]> {
  return (await lines()).length > 0 ? ['--resume'] : [];
}

/** What the recovery's journal has written down. */
async function lines(): Promise<readonly string[]> {
  const text = await readFile(journal, 'utf8').catch(() => '');
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => (JSON.parse(line) as { readonly step: string }).step);
}

/** The password of PostgreSQL and all that it holds, or an error. */
async function state(): Promise<string> {
  const rows = await query(
    "SELECT string_agg(k::text, '' ORDER BY i) AS all, to_regclass('later') AS later FROM kept k",
  );
  return JSON.stringify([await password(), rows]);
}

async function password(): Promise<string> {
  return (await stack.devstackOutput('vault', 'show-password', 'postgres')).trim();
}

async function query(sql: string): Promise<readonly object[]> {
  await using connection = await connectPostgres({
    host: '127.0.0.1',
    port: 5432 + Number(stack.env['DEVSTACK_PORT_OFFSET']),
    username: 'devstack',
    password: new Secret(await password()),
    database: 'devstack',
    tls: {
      ca: await readFile(join(stack.configHome, stack.project, 'certificates/ca.crt'), 'utf8'),
      servername: 'postgres',
    },
    connectTimeoutMs: 10_000,
  });
  return await connection.query(sql);
}

async function leftovers(): Promise<readonly string[]> {
  const kept = ['recovery.journal', 'recovery.lock', 'configuration', 'dockerd.log'];
  return (await readdir(join(stack.configHome, '.recovery'))).filter((name) => !kept.includes(name));
}
