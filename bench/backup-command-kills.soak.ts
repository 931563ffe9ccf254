import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { output } from './lib/measure.ts';
import { report } from './lib/report.ts';
import { BenchStack } from './lib/stack.ts';

// Soak: the commands themselves on a running stack. `backup create` and `backup restore` are killed with SIGKILL at each of their steps, as
// their own progress tells them, three times each. Afterwards the sets and the database are those of before, or the new ones.

const rounds = 3;
const root = new URL('..', import.meta.url).pathname.replace(/\/$/, '');
const cli = join(root, 'apps/devstack-cli/bin.js');
const folder = await mkdtemp(join(tmpdir(), 'devstack-command-kills-'));
const sets = join(folder, 'sets');
const passphrase = randomBytes(24).toString('base64url');
await writeFile(join(folder, 'passphrase'), passphrase, { mode: 0o600 });
const backups = ['--directory', sets, '--passphrase-file', join(folder, 'passphrase')];

await using stack = await BenchStack.create();
await stack.devstack('up', '--profile', 'minimal', '--progress', 'none');
const canary = `row-${randomBytes(12).toString('hex')}`;
const inSet = `CREATE TABLE kept AS SELECT i, '${canary}'::text AS t FROM generate_series(1, 20000) i`;
const later = `UPDATE kept SET t = 'later'`;
await sql(inSet);
await stack.devstack('backup', 'create', '--progress', 'none', ...backups);
const [first = ''] = await complete();
await sql(later);

const hits = new Map<string, number>();
const wrong: string[] = [];
let between = 0;

await everyStep('create', ['backup', 'create', ...backups], async (step) => {
  const now = await complete();
  if (!now.includes(first)) wrong.push(`create, ${step}: the set of before is gone`);
  if ((await unfinished()).length > 0) between += 1;
  if (await isInClear()) wrong.push(`create, ${step}: something is there in clear`);
  for (const id of now.filter((one) => one !== first)) {
    await stack.devstack('backup', 'verify', id, '--level', '2', '--progress', 'none', ...backups);
    await rm(join(sets, id), { recursive: true });
  }
});
await stack.devstack('backup', 'create', '--progress', 'none', ...backups);
if ((await unfinished()).length > 0) wrong.push(`create: the next one has left ${(await unfinished()).join(', ')}`);

await everyStep('restore', ['backup', 'restore', first, '--only', 'postgres', '--yes', ...backups], async (step) => {
  const held = await holds();
  if (held === 'neither') wrong.push(`restore, ${step}: the database is neither as before nor as in the set`);
  if (held === 'set') await sql(later);
});
await stack.devstack('backup', 'restore', first, '--only', 'postgres', '--yes', '--progress', 'none', ...backups);
if ((await holds()) !== 'set') wrong.push('restore: the next one did not end it');
const left = await leftInContainer();
if (left !== '') wrong.push(`restore: the next one has left ${left}`);

// The control: half of a set under its own name is no backup, and is said to be none.
const [victim = ''] = (await readdir(join(sets, first))).filter((name) => name.startsWith('postgres.devstack.'));
await rm(join(sets, first, victim));
if ((await complete()).includes(first))
  throw new Error('Half of a set was taken for a backup: the check sees nothing.');
if (between === 0) throw new Error('No kill has left anything unfinished: the kills do nothing.');
await rm(folder, { recursive: true, force: true });

const seldom = [...hits].filter(([, count]) => count < rounds).map(([step]) => step);
report(
  'Soak: backup create and restore, killed at each step',
  [
    {
      what: 'kills after which something was neither as before nor complete, or was left behind',
      ours: wrong.length,
      unit: `of ${String([...hits.values()].reduce((sum, count) => sum + count, 0))}`,
      target: 'none',
      met: wrong.length === 0,
    },
    {
      what: `steps that were hit less than ${String(rounds)} times`,
      ours: seldom.length,
      unit: `of ${String(hits.size)} steps`,
      target: 'none',
      met: seldom.length === 0 && hits.size > 0,
    },
  ],
  [
    `Killed at: ${[...hits].map(([step, count]) => `${step} ${String(count)}`).join(', ')}.`,
    `After ${String(between)} kills of create there was an unfinished set, which no command took for a backup; a set without one of its files was seen in the same run.`,
    ...wrong,
  ],
);

/** Runs a command once to learn its steps, and kills it at each of them. */
async function everyStep(name: string, args: readonly string[], check: (step: string) => Promise<void>): Promise<void> {
  const { steps } = await run(args, undefined);
  if (name === 'create')
    for (const id of await complete()) if (id !== first) await rm(join(sets, id), { recursive: true });
  if (name === 'restore') await sql(later);
  for (let round = 0; round < rounds; round += 1)
    for (const step of steps) {
      // After its last steps a command may be quicker than its killer.
      for (let attempt = 0; attempt < 5; attempt += 1) {
        const { isKilled } = await run(args, step);
        await check(step);
        if (!isKilled) continue;
        hits.set(`${name} ${step}`, (hits.get(`${name} ${step}`) ?? 0) + 1);
        process.stderr.write(`round ${String(round + 1)} of ${String(rounds)}: ${name} killed at ${step}\n`);
        break;
      }
    }
}

/** What it tells of its steps; killed at one of them, or left to come to its end. */
async function run(
  args: readonly string[],
  killAt: string | undefined,
): Promise<{ readonly steps: readonly string[]; readonly isKilled: boolean }> {
  const child = spawn(process.execPath, [cli, ...args, '--progress', 'ndjson'], {
    cwd: root,
    env: stack.env,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const exit = once(child, 'exit');
  const steps: string[] = [];
  let said = '';
  for await (const line of createInterface({ input: child.stderr })) {
    said = line;
    const event = parsed(line);
    if (event === undefined) continue;
    const step = `${event.type} ${event.step}`;
    steps.push(step);
    if (step === killAt) child.kill('SIGKILL');
  }
  await exit;
  const isKilled = child.signalCode === 'SIGKILL';
  if (!isKilled && child.exitCode !== 0) throw new Error(`${args.join(' ')} failed: ${said}`);
  return { steps, isKilled };
}

function parsed(line: string): { readonly type: string; readonly step: string } | undefined {
  try {
    const event = JSON.parse(line) as { readonly type?: unknown; readonly step?: unknown };
    return (event.type === 'step-started' || event.type === 'step-done') && typeof event.step === 'string'
      ? { type: event.type, step: event.step }
      : undefined;
  } catch {
    return undefined;
  }
}

async function complete(): Promise<readonly string[]> {
  const text = await stack.devstackOutput('backup', 'list', '--json', ...backups);
  const { sets: found } = JSON.parse(text) as {
    readonly sets: readonly { readonly id: string; readonly status: string }[];
  };
  return found.filter(({ status }) => status === 'complete').map(({ id }) => id);
}

async function unfinished(): Promise<readonly string[]> {
  return (await readdir(sets)).filter((name) => name.endsWith('.partial'));
}

async function isInClear(): Promise<boolean> {
  for (const entry of await readdir(sets, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const bytes = await readFile(join(entry.parentPath, entry.name));
    if (bytes.includes(canary) || bytes.includes(passphrase)) return true;
  }
  return false;
}

async function container(): Promise<string> {
  const labels = [`com.docker.compose.project=${stack.project}`, 'com.docker.compose.service=postgres'];
  return (await output('docker', ['ps', '-q', ...labels.flatMap((label) => ['--filter', `label=${label}`])])).trim();
}

// Inside of the container, by the container's own login.
async function sql(text: string): Promise<string> {
  const psql = ['psql', 'service=health', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-c', text];
  const argv = ['exec', await container(), 'env', 'PGSERVICEFILE=/run/credentials/pg_service.conf', ...psql];
  return (await output('docker', argv)).trim();
}

async function holds(): Promise<'before' | 'set' | 'neither'> {
  const found = await sql(`SELECT count(*) || ' ' || min(t) || ' ' || max(t) FROM kept`).catch(() => '');
  if (found === '20000 later later') return 'before';
  return found === `20000 ${canary} ${canary}` ? 'set' : 'neither';
}

async function leftInContainer(): Promise<string> {
  const files = await output('docker', [
    'exec',
    await container(),
    'sh',
    '-c',
    'ls -A /run/credentials /tmp | grep devstack-backup || :',
  ]);
  const databases = await sql(`SELECT datname FROM pg_database WHERE datname LIKE 'devstack-backup-%'`);
  return `${files.trim()}${databases}`;
}
