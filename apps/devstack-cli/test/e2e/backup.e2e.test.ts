import { randomBytes } from 'node:crypto';
import { cp, mkdtemp, open, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SecretRegistry } from '@devstack-core/redaction';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { app, describeResult } from '../support/cli.ts';
import { engines } from '../support/data.ts';
import { dockerLines } from '../support/programs.ts';
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

const awkward = `
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE TABLE "Ünï ""q""" (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, a numeric, b bytea, c jsonb, d tsrange, e mood, f text[], g timestamptz, h positive, twice int GENERATED ALWAYS AS (id * 2) STORED);
INSERT INTO "Ünï ""q""" (a, b, c, d, e, f, g, h) SELECT 'NaN', decode(md5(n::text), 'hex'), jsonb_build_object('n', n), tsrange('2026-01-01', '2026-02-01'), 'ok', ARRAY['ä', NULL, ''], '2026-03-29 02:30+01', n FROM generate_series(1, 5000) n;
CREATE TABLE parts (at date NOT NULL, n int) PARTITION BY RANGE (at);
CREATE TABLE parts_2026 PARTITION OF parts FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
INSERT INTO parts SELECT '2026-05-05', n FROM generate_series(1, 100) n;
CREATE VIEW some AS SELECT n FROM parts WHERE n < 10;
CREATE SEQUENCE counter START 41; SELECT nextval('counter');
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.n := NEW.n; RETURN NEW; END $$;
CREATE TRIGGER touched BEFORE UPDATE ON parts FOR EACH ROW EXECUTE FUNCTION touch();
SELECT lo_from_bytea(0, decode(repeat('00ff', 4000), 'hex')) > 0;
`;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'devstack-e2e-backup-'));
  sets = join(folder, 'sets');
  stack = await createTestStack({
    DEVSTACK_BACKUP_DIRECTORY: sets,
    VAULT_BACKUP_PASSPHRASE_FILE: join(folder, 'passphrase'),
  });
  await stack.expectRun(0, ['backup', 'passphrase', join(folder, 'passphrase')]);
  await stack.expectRun(0, ['up']);
  await collectSecrets(stack, registry);
  const secrets = await readAllSecrets(stack);
  for (const engine of engines) await engine.write(stack, secrets, value);
  await stack.expectRun(0, ['shell', 'postgres'], { stdin: awkward });
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

  test('is proven by restoring every part of it', async () => {
    const { verdict, parts } = await stack.json<Verified>(['backup', 'verify']);
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
    await stack.expectRun(0, ['backup', 'restore', id, '--only', 'postgres', '--yes']);
    const read = async (role: string) => engines.find((engine) => engine.role === role)?.read(stack, secrets);
    expect(await read('postgres')).toBe(value);
    expect(await read('mysql')).toBe(later);
  });

  test('brings everything back after everything was destroyed, with the same passwords', async () => {
    const before = fingerprints(await readAllSecrets(stack));
    await stack.expectRun(0, ['reset', '--yes', '--no-backup']);
    await rm(stack.configHome, { recursive: true, force: true });
    expect(await stack.leftovers()).toEqual([]);
    const result = await stack.expectRun(0, ['recover', '--force', '--backup', id]);
    expect(result.stdout).toMatch(/recovered\. RTO .* RPO /);
    const secrets = await readAllSecrets(stack);
    expect(fingerprints(secrets)).toEqual(before);
    for (const engine of engines)
      expect([engine.role, await engine.read(stack, secrets)]).toEqual([engine.role, value]);
    await stack.expectRun(0, ['health']);
  });

  test('goes back and forth in throwaway networks and volumes, and leaves nothing', async () => {
    const networks = await dockerLines('network', 'ls', '--format', '{{.Name}}');
    const report = await stack.json<{ record: { outcome: string; kind: string } }>([
      'recover',
      'drill',
      '--backup',
      id,
    ]);
    expect(report.record).toMatchObject({ outcome: 'recovered', kind: 'drill' });
    expect(await dockerLines('network', 'ls', '--format', '{{.Name}}')).toEqual(networks);
    expect(
      (await dockerLines('volume', 'ls', '--format', '{{.Name}}')).filter((name) => name.startsWith('devstack-drill')),
    ).toEqual([]);
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
