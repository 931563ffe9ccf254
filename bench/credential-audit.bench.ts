import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connectDocker, type DockerEngine } from '../packages/core/docker-engine/src/index.ts';
import { Secret } from '../packages/core/redaction/src/index.ts';
import {
  auditCredentials,
  createSearcher,
  expandNeedles,
  type CredentialNeedle,
} from '../packages/secrets/credential-audit/src/index.ts';
import { allInTurns, elapsedMs, median, quietly } from './lib/measure.ts';
import { report } from './lib/report.ts';

// The search for 2,000 secret values in all of their forms beside the same by `Buffer.indexOf` for each form and by `grep -F -f`, and a
// whole audit of 20 containers with 64 MiB of log in a process of its own, beside `docker inspect`, `top` and `logs` piped into grep.

const megabyte = 1e6;
const rounds = 5;

if (process.argv[2] === '--audit') await auditInOwnProcess(process.argv.slice(3));
else await bench();

async function bench(): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'bench-credential-audit-'));
  try {
    const values = Array.from({ length: 2000 }, () => randomBytes(24).toString('base64url'));
    const needles = needlesOf(values);
    const { needles: forms } = expandNeedles(needles);
    const texts = [...new Set(forms.map(({ text }) => text.reveal()))];
    const log = serverLog(64 * 2 ** 20);
    const slice = log.subarray(0, 2 ** 20);
    await writeFile(join(folder, 'log'), log);
    await writeFile(join(folder, 'forms'), texts.join('\n'), { mode: 0o600 });
    const searcher = createSearcher(forms);
    const [own = [], one = [], grep = []] = await allInTurns(rounds, [
      () => speedOf(log.length, async () => search(searcher, log)),
      // A search for each form goes over the text as often as there are forms: a piece is enough to know how fast that is.
      () => speedOf(slice.length, async () => texts.filter((text) => slice.includes(text))),
      () => speedOf(log.length, () => grepFor(join(folder, 'forms'), join(folder, 'log'))),
    ]);
    const audit = await auditOfTwenty(folder, values);
    const text = (bytesPerSecond: readonly number[]): number => median(bytesPerSecond);
    process.stderr.write(
      `search ${text(own).toFixed(0)} MB/s, indexOf ${text(one).toFixed(2)} MB/s, grep ${text(grep).toFixed(0)} MB/s\n`,
    );
    report(
      'Credential audit',
      [
        row('search for 2,000 values in all forms, beside Buffer.indexOf', text(own), text(one)),
        row('search for 2,000 values in all forms, beside grep -F -f', text(own), text(grep)),
        {
          what: '20 containers with 64 MiB of log, all surfaces',
          ours: audit.ours,
          peer: audit.peer,
          unit: 'ms',
          target: '5,000 ms',
          met: audit.ours <= 5000,
        },
        {
          what: 'the same: resident memory at most',
          ours: audit.rssMiB,
          unit: 'MiB',
          target: '200 MiB',
          met: audit.rssMiB <= 200,
        },
      ],
      [
        `Medians of ${String(rounds)} rounds in turns; ${String(searcher.patternCount)} different texts of ${String(values.length)} values of 32 characters, in one thread, over a log as servers write it.`,
        'Buffer.indexOf is measured on 1 MiB, as it takes one pass for each text. grep reads the texts and the file anew each time.',
        `The audit runs as a process of its own, its start included, and found the one value that was planted in the log: ${audit.found ? 'yes' : 'NO'}.`,
        'Its peer is `docker inspect`, `docker top` and `docker logs | grep -F -f` for one container after another, which sees three of the surfaces.',
      ],
    );
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function row(what: string, ours: number, peer: number): Parameters<typeof report>[1][0] {
  return { what, ours, peer, unit: 'MB/s', target: '200 MB/s', met: ours >= 200 };
}

async function speedOf(bytes: number, work: () => Promise<unknown>): Promise<number> {
  return bytes / megabyte / ((await elapsedMs(work)) / 1000);
}

function search(searcher: ReturnType<typeof createSearcher>, text: Buffer): number {
  let hits = 0;
  const stream = searcher.stream(() => {
    hits += 1;
  });
  for (let at = 0; at < text.length; at += 65_536) stream.write(text.subarray(at, at + 65_536));
  stream.end();
  return hits;
}

// grep's status 1 says that nothing was found.
function grepFor(forms: string, file: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn('grep', ['-a', '-c', '-F', '-f', forms, file], { stdio: 'ignore', env: { LC_ALL: 'C' } });
    child.once('error', reject);
    child.once('close', (code) => {
      if (code === 0 || code === 1) resolve();
      else reject(new Error(`grep ended with ${String(code)}`));
    });
  });
}

function needlesOf(values: readonly string[]): CredentialNeedle[] {
  return values.map((value, index) => ({
    value: new Secret(value),
    label: `bench/${String(index)}`,
    field: 'password',
  }));
}

function serverLog(bytes: number): Buffer {
  const lines = Array.from(
    { length: 20_000 },
    (_, line) =>
      `2026-11-21 07:${String(line % 60).padStart(2, '0')}:12.345 UTC [${String(line)}] LOG:  checkpoint complete: wrote ${String(line * 7)} buffers; request_id=${randomBytes(16).toString('hex')} path=/api/v1/items/${String(line)} status=200 etag="${randomBytes(9).toString('base64')}" agent="Mozilla/5.0"\n`,
  );
  const piece = Buffer.from(lines.join(''));
  const log = Buffer.alloc(bytes);
  for (let at = 0; at < bytes; at += piece.length) piece.copy(log, at);
  return log;
}

/** Twenty containers that have written 64 MiB together, one of them a value; measured by a process of its own, and by the peer. */
async function auditOfTwenty(
  folder: string,
  values: readonly string[],
): Promise<{ readonly ours: number; readonly peer: number; readonly rssMiB: number; readonly found: boolean }> {
  const project = `bench-ca-${randomBytes(3).toString('hex')}`;
  const [image, volume] = ['devstack/base:local', `${project}-log`];
  const labels = { 'com.docker.compose.project': project };
  await using engine = await connectDocker();
  try {
    await engine.ensureVolume({ name: volume, labels });
    const content = serverLog(Math.ceil((64 * 2 ** 20) / 20));
    const file = (
      path: string,
      text: string | Buffer,
    ): Parameters<DockerEngine['writeVolumeFiles']>[0]['files'][0] => ({
      ...{ volume, path, content: text, mode: 0o600 },
      ...{ uid: 0, gid: 0 },
    });
    const planted = Buffer.from(`app:${values[7] ?? ''}`).toString('base64');
    await engine.writeVolumeFiles({ image, files: [file('log', content), file('planted', `Basic ${planted}\n`)] });
    for (let index = 0; index < 20; index += 1) {
      const id = await engine.createContainer({
        ...{ image, labels, name: `${project}-${String(index)}`, network: 'none', user: '0' },
        argv: ['sh', '-c', `cat /v/log${index === 13 ? ' /v/planted' : ''}; echo written; exec sleep 3600`],
        binds: [`${volume}:/v:ro`],
      });
      await engine.startContainer(id);
    }
    await written(engine, project);
    const file2000 = join(folder, 'values');
    await writeFile(file2000, values.join('\n'), { mode: 0o600 });
    const results: { rssMiB: number; found: boolean }[] = [];
    const [ours = [], peer = []] = await allInTurns(3, [
      () => elapsedMs(async () => results.push(await ownProcess([project, file2000]))),
      () => elapsedMs(() => byHand(project, join(folder, 'forms'))),
    ]);
    return {
      ours: median(ours),
      peer: median(peer),
      rssMiB: Math.max(...results.map(({ rssMiB }) => rssMiB)),
      found: results.every(({ found }) => found),
    };
  } finally {
    for (const { id } of await engine.listContainers({ all: true, project }))
      await engine.removeContainer(id, { force: true });
    await engine.removeVolume(volume);
  }
}

async function written(engine: DockerEngine, project: string): Promise<void> {
  const deadline = Date.now() + 120_000;
  for (const { id, name } of await engine.listContainers({ project })) {
    while (!(await engine.logs(id, { tail: 1 })).includes('written')) {
      if (Date.now() > deadline) throw new Error(`${name} has not written its log within two minutes.`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

function ownProcess(args: readonly string[]): Promise<{ rssMiB: number; found: boolean }> {
  return new Promise((resolve, reject) => {
    const argv = [...process.execArgv, new URL(import.meta.url).pathname, '--audit', ...args];
    const child = spawn(process.execPath, argv, { stdio: ['ignore', 'pipe', 'inherit'] });
    let text = '';
    child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
    child.once('error', reject);
    child.once('close', (code) => {
      if (code === 0) resolve(JSON.parse(text) as { rssMiB: number; found: boolean });
      else reject(new Error(`The audit ended with ${String(code)}.`));
    });
  });
}

async function auditInOwnProcess([project = '', file = '']: readonly string[]): Promise<void> {
  const { readFile } = await import('node:fs/promises');
  const values = (await readFile(file, 'utf8')).split('\n');
  await using engine = await connectDocker();
  const { findings, notChecked } = await auditCredentials({
    engine,
    containers: { project },
    needles: needlesOf(values),
  });
  // Kilobytes, as getrusage tells the most that was ever resident.
  const rssMiB = process.resourceUsage().maxRSS / 1024;
  const found = findings.length === 1 && findings[0]?.ruleId === 'secret-in-log' && notChecked.length === 0;
  if (!found) process.stderr.write(`${JSON.stringify({ findings, notChecked }).slice(0, 2000)}\n`);
  process.stdout.write(JSON.stringify({ rssMiB, found }));
}

// What a careful person does by hand.
async function byHand(project: string, forms: string): Promise<void> {
  const script = [
    'for id in $(docker ps -aq --filter "label=com.docker.compose.project=$0"); do',
    '  docker inspect "$id" | grep -a -c -F -f "$1"',
    '  docker top "$id" -eo args 2>/dev/null | grep -a -c -F -f "$1"',
    '  docker logs "$id" 2>&1 | grep -a -c -F -f "$1"',
    'done; exit 0',
  ];
  await quietly('sh', ['-c', script.join('\n'), project, forms], { env: { ...process.env, LC_ALL: 'C' } });
}
