import { randomBytes } from 'node:crypto';
import { cp, mkdtemp, open, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readPassphraseFile } from '@devstack-core/backup-crypto';
import { testImage } from '@devstack-core/backup-store/test/images';
import { watchProcesses, type CredentialNeedle } from '@devstack-core/credential-audit';
import { Secret, SecretRegistry } from '@devstack-core/redaction';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { fillAwkward, readAwkward, takeMessages } from '../support/awkward-data.ts';
import { app, describeResult, type CliResult } from '../support/cli.ts';
import { engines } from '../support/data.ts';
import { docker, dockerLines, program } from '../support/programs.ts';
import { publishedProblem } from '../support/published-schema.ts';
import { collectSecrets, fingerprints, readAllSecrets } from '../support/secrets.ts';
import { createTestStack, type TestStack } from '../support/test-stack.ts';

// One standard stack for the whole file: filled, backed up, verified, destroyed and brought back.

const value = randomBytes(8).toString('hex');
const later = `later-${value}`;
const registry = new SecretRegistry();
let stack: TestStack;
let folder: string;
let sets: string;
let id: string;

/** What the watch looks for: every secret of the stack, the passphrase, and one that is shown on purpose. */
const needles: CredentialNeedle[] = [];
const canary = randomBytes(16).toString('hex');
let before: Awaited<ReturnType<typeof readAwkward>>;

/** A command of devstack while every program that starts on this machine is looked at. The control runs beside it, and must be all that is found. */
async function watched(args: readonly string[]): Promise<CliResult> {
  const { value: result, report } = await watchProcesses({
    needles: [...needles, { value: new Secret(canary), label: 'the control' }],
    run: async () => {
      const done = await stack.run(args);
      await program('sh', ['-c', 'sleep 0.3; :', 'sh', canary]);
      return done;
    },
  });
  expect(result.exitCode, describeResult(result)).toBe(0);
  const found = report.findings.map((finding) =>
    JSON.stringify(finding).includes('the control') ? 'control' : finding,
  );
  expect(new Set(found)).toEqual(new Set(['control']));
  expect(needles.length).toBeGreaterThan(20);
  return result;
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'devstack-e2e-backup-'));
  sets = join(folder, 'sets');
  stack = await createTestStack({
    DEVSTACK_BACKUP_DIRECTORY: sets,
    VAULT_BACKUP_PASSPHRASE_FILE: join(folder, 'passphrase'),
  });
  await stack.expectRun(0, ['backup', 'passphrase', join(folder, 'passphrase')]);
  await stack.expectRun(0, ['up']);
  await collectSecrets(stack, {
    add: (value, label) => {
      registry.add(value, label);
      needles.push({ value: value instanceof Secret ? value : new Secret(value), label: label ?? 'secret' });
    },
  });
  const secrets = await readAllSecrets(stack);
  for (const engine of engines) await engine.write(stack, secrets, value);
  await fillAwkward(stack, secrets);
  before = await readAwkward(stack, secrets);
  expect(Object.values(before).flat()).not.toContain('nothing');
  const passphrase = await readPassphraseFile(join(folder, 'passphrase'));
  needles.push({ value: passphrase, label: 'passphrase' });
  registry.add(passphrase, 'passphrase');
});

afterAll(async () => {
  await stack.remove();
  await rm(folder, { recursive: true, force: true });
});

interface Created {
  readonly id: string;
  readonly encrypted: boolean;
  readonly parts: readonly { readonly service: string; readonly name: string; readonly consistency: string }[];
}

interface Verified {
  readonly verdict: string;
  readonly parts: readonly {
    readonly service: string;
    readonly part: string;
    readonly verdict: string;
    readonly findings: readonly { readonly class: string }[];
  }[];
}

describe('a backup of the whole stack', () => {
  test('is one encrypted set with every service in it, each of one moment, and shows no secret meanwhile', async () => {
    const watched = await stack.run([
      'audit',
      'credentials',
      '--watch',
      '--',
      process.execPath,
      `${app}/bin.js`,
      'backup',
      'create',
      '--json',
    ]);
    // 1 where a program of somebody else ended before it was read; 3 would be a finding.
    expect(watched.exitCode, describeResult(watched)).not.toBe(3);
    const { sets: found } = await stack.json<{
      sets: readonly { id: string; status: string; services: readonly string[]; encrypted: boolean }[];
    }>(['backup', 'list']);
    expect(found).toHaveLength(1);
    expect(found[0]).toMatchObject({ status: 'complete', encrypted: true });
    expect(found[0]?.services).toEqual([
      'configuration',
      'forgejo',
      'mongodb',
      'mysql',
      'postgres',
      'rabbitmq',
      'redis',
      'vault',
    ]);
    id = found[0]?.id ?? '';
    expect(
      (await readdir(join(sets, id))).filter(
        (name) => !/\.zst\.gpg$|^(manifest\.json|SHA256SUMS|RECOVERY\.md|\.state\.json)$/.test(name),
      ),
    ).toEqual([]);
  });

  test('opens in a plain Debian by its own gpg and zstd alone, as the recovery card says', async () => {
    const card = await readFile(join(sets, id, 'RECOVERY.md'), 'utf8');
    const [, check = '', decrypt = ''] = [...card.matchAll(/^(`{3,})sh\n(.*?)\n\1$/gms)].map(([, , text = '']) => text);
    const output = await docker(
      ...['run', '--rm', '--network', 'none', '--user', '0:0', '--tmpfs', '/tmp', '--env', 'HOME=/tmp'],
      ...['--volume', `${sets}:/backups:ro`, '--volume', `${join(folder, 'passphrase')}:/passphrase:ro`],
      await testImage('debian'),
      ...['sh', '-euc'],
      `cp -r /backups/${id} /tmp/set; cd /tmp/set; ${check}\n${decrypt.replace('PASSPHRASE-FILE', '/passphrase')}\ncd plain; sha256sum -- *`,
    );
    const { manifest } = JSON.parse(await readFile(join(sets, id, 'manifest.json'), 'utf8')) as {
      manifest: { artifacts: readonly { file: string; isSecret: boolean; plain: { sha256?: string } }[] };
    };
    expect(output).not.toContain('DAMAGED');
    expect(output.match(/: OK$/gm)).toHaveLength(manifest.artifacts.length);
    const sums = new Map(output.split('\n').map((line) => [line.slice(66), line.slice(0, 64)]));
    const opened = manifest.artifacts.map(({ file, plain }) => {
      const sum = sums.get(file.replace(/\.zst\.gpg$/, ''));
      return [file, sum !== undefined && (plain.sha256 ?? sum) === sum];
    });
    expect(opened.filter(([, isSame]) => isSame === false)).toEqual([]);
    expect(opened.length).toBeGreaterThan(30);
  });

  test('is proven by restoring every part of it', async () => {
    const { stdout } = await watched(['backup', 'verify', '--json']);
    const { verdict, parts } = JSON.parse(stdout) as Verified;
    expect(publishedProblem(JSON.parse(stdout))).toBeUndefined();
    expect(parts.filter((part) => part.verdict !== 'valid')).toEqual([]);
    expect(verdict).toBe('valid');
    expect(
      await dockerLines(
        'ps',
        '--all',
        '--filter',
        `label=io.devstack.project=${stack.project}`,
        '--format',
        '{{.Names}}',
      ),
    ).toEqual([]);
  });

  test('that is damaged in one bit is told, and where', async () => {
    const copy = join(folder, 'damaged');
    await cp(sets, copy, { recursive: true });
    const [victim = ''] = (await readdir(join(copy, id))).filter((name) => name.startsWith('mysql.devstack.sql'));
    await using file = await open(join(copy, id, victim), 'r+');
    const { buffer } = await file.read({ buffer: Buffer.alloc(1), position: 200 });
    await file.write(Buffer.from([(buffer[0] ?? 0) ^ 1]), 0, 1, 200);
    const env = { DEVSTACK_BACKUP_DIRECTORY: copy };
    const { verdict, parts } = await stack.json<Verified>(['backup', 'verify', '--level', '1'], { exitCode: 3, env });
    expect(verdict).toBe('invalid');
    expect(parts.filter((part) => part.verdict !== 'valid').map(({ service, part }) => `${service}/${part}`)).toEqual([
      'mysql/devstack',
    ]);
  });

  test('made again takes over what did not change', async () => {
    const again = await stack.json<Created & { unchanged: number; kind: string }>([
      'backup',
      'create',
      '--incremental',
      '--only',
      'postgres,mysql,redis',
    ]);
    expect(again.kind).toBe('incremental');
    expect(again.unchanged).toBeGreaterThan(3);
    await stack.expectRun(0, ['backup', 'verify', again.id, '--level', '2']);
  });

  test('brings one service back without touching the others', async () => {
    const secrets = await readAllSecrets(stack);
    for (const engine of engines.filter(({ role }) => role === 'postgres' || role === 'mysql'))
      await engine.write(stack, secrets, later);
    const { stdout } = await watched(['backup', 'restore', id, '--only', 'postgres', '--yes', '--json']);
    expect(publishedProblem(JSON.parse(stdout))).toBeUndefined();
    const read = async (role: string) => engines.find((engine) => engine.role === role)?.read(stack, secrets);
    expect(await read('postgres')).toBe(value);
    expect(await read('mysql')).toBe(later);
  });

  test('brings everything back after everything was destroyed, with the same passwords', async () => {
    const passwords = fingerprints(await readAllSecrets(stack));
    await stack.expectRun(0, ['reset', '--yes', '--no-backup']);
    await rm(stack.configHome, { recursive: true, force: true });
    expect(await stack.leftovers()).toEqual([]);
    const result = await watched(['recover', '--force', '--backup', id]);
    expect(result.stdout).toMatch(/recovered\. RTO .* RPO /);
    const secrets = await readAllSecrets(stack);
    expect(fingerprints(secrets)).toEqual(passwords);
    expect(await readAwkward(stack, secrets)).toEqual(before);
    expect(await takeMessages(stack, secrets)).toEqual([]);
    for (const engine of engines)
      expect([engine.role, await engine.read(stack, secrets)]).toEqual([engine.role, value]);
    await stack.expectRun(0, ['health']);
  });

  test('goes back and forth in throwaway networks and volumes, and leaves nothing', async () => {
    const report = await stack.json<{ record: { outcome: string; kind: string } }>([
      'recover',
      'drill',
      '--backup',
      id,
    ]);
    expect(report.record).toMatchObject({ outcome: 'recovered', kind: 'drill' });
    for (const kind of ['network', 'volume'])
      expect(
        (await dockerLines(kind, 'ls', '--format', '{{.Name}}')).filter((name) => name.startsWith('devstack-drill')),
      ).toEqual([]);
    expect(await dockerLines('ps', '--all', '--format', '{{.Names}}')).not.toEqual(
      expect.arrayContaining([expect.stringContaining('devstack-drill')]),
    );
  });

  test('without the passphrase is no backup: it says so, and changes nothing', async () => {
    const env = { VAULT_BACKUP_PASSPHRASE_FILE: '' };
    const result = await stack.expectRun(1, ['recover', '--force'], { env });
    expect(result.stderr).toContain('PASSPHRASE_MISSING');
    await stack.expectRun(0, ['health']);
  });
});

test('no secret was shown by any of these commands', () => {
  const shown = stack.history.flatMap(({ command, stdout, stderr }) => {
    const text = `${command}${stdout}${stderr}`;
    return registry.redact(text) === text ? [] : [registry.redact(command)];
  });
  expect(shown).toEqual([]);
});
