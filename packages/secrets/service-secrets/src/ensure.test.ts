import { Secret } from '@devstack-core/redaction';
import { beforeEach, describe, expect, it } from 'vitest';
import { MemoryKv } from '../test/memory-kv.ts';
import {
  clientEntry,
  clientEntryMatches,
  ensureServiceSecrets,
  generateValue,
  readClients,
  readServiceSecret,
  rotateServiceSecret,
  serviceSecretDefinitions,
  verifyMysqlNative,
  verifyRabbitPassword,
  verifyRedisSha256,
  verifyScramSha256,
} from './index.ts';

const roles = [...serviceSecretDefinitions.map((definition) => definition.role), 'backup', 'operator'];
let kv: MemoryKv;
beforeEach(() => {
  kv = new MemoryKv();
});

const ensure = (only: readonly string[] = roles) => ensureServiceSecrets({ client: kv.client, roles: only });
const entry = (server: string, username: string): Record<string, string> =>
  JSON.parse(kv.value(`services/${server}/clients`, username) ?? '{}') as Record<string, string>;
const held = (server: string, username: string) => entry(server, username)['verifier'] ?? '';
const password = (role: string, field = 'password') => kv.value(`services/${role}`, field) ?? '';

describe('ensureServiceSecrets', () => {
  it('makes every secret once, and keeps it', async () => {
    const first = await ensure();
    expect(first.created).toHaveLength(12 + 5);
    expect(first.kept).toEqual([]);
    const before = password('postgres');
    expect(before).toMatch(/^[A-Za-z0-9]{32}$/);
    expect(await ensure()).toEqual({ created: [], updated: [], kept: first.created });
    expect(password('postgres')).toBe(before);
    expect(await readServiceSecret(kv.client, 'operator')).toBeUndefined();
  });

  it('gives the servers verifiers of their clients’ passwords, and no password where the engine takes a verifier', async () => {
    await ensure();
    expect(await verifyScramSha256(password('pgbouncer'), held('postgres', 'pgbouncer'))).toBe(true);
    expect(await verifyScramSha256(password('mongodb', 'postgres_password'), held('postgres', 'ferretdb'))).toBe(true);
    expect(verifyMysqlNative(password('reference-api', 'mysql_password'), held('mysql', 'reference_api'))).toBe(true);
    expect(verifyRedisSha256(password('redis-exporter'), held('redis', 'redis-exporter'))).toBe(true);
    expect(
      verifyRabbitPassword(password('reference-api', 'rabbitmq_password'), held('rabbitmq', 'reference-api')),
    ).toBe(true);
    expect(entry('mongodb', 'mongodb_exporter')).toEqual({
      password: password('mongodb-exporter'),
      role: 'mongodb-exporter',
      grants: 'monitor',
    });
    const others = [...kv.secrets].filter(([path]) => path.endsWith('/clients') && !path.includes('mongodb'));
    for (const [, { data }] of others)
      for (const value of Object.values(data ?? {})) expect(value.reveal()).not.toContain('"password"');
    expect(await readClients(kv.client, 'postgres')).toEqual([
      { username: 'pgbouncer', role: 'pgbouncer', grants: 'auth-query' },
      { username: 'ferretdb', role: 'mongodb', grants: 'own-database' },
      { username: 'forgejo', role: 'forgejo', grants: 'own-database' },
      { username: 'reference_api', role: 'reference-api', grants: 'application' },
      { username: 'postgres_exporter', role: 'postgres-exporter', grants: 'monitor' },
    ]);
  });

  it('keeps a person’s own password and adds only the fields that are missing', async () => {
    kv.put('services/mysql', { password: 'naïve "p:a\\ss" # word', note: 'mine' });
    const report = await ensure();
    expect(report.updated).toEqual(['services/mysql']);
    expect(password('mysql')).toBe('naïve "p:a\\ss" # word');
    expect(kv.value('services/mysql', 'note')).toBe('mine');
    expect(password('mysql', 'root_password')).toHaveLength(32);
  });

  it('brings a verifier up to date when the password was changed by hand, and leaves the others as they are', async () => {
    await ensure();
    const other = held('postgres', 'forgejo');
    kv.put('services/pgbouncer', { username: 'pgbouncer', password: 'changed by hand' });
    expect((await ensure()).updated).toEqual(['services/postgres/clients']);
    expect(await verifyScramSha256('changed by hand', held('postgres', 'pgbouncer'))).toBe(true);
    expect(held('postgres', 'forgejo')).toBe(other);
  });

  it('replaces entries that cannot be read, moves a renamed user, and keeps users that others added', async () => {
    await ensure();
    const own = JSON.stringify({ verifier: 'x', role: 'somebody', grants: 'application' });
    kv.put('services/redis/clients', { 'reference-api': 'not json', other: own });
    kv.put('services/redis-exporter', { username: 'renamed', password: 'p' });
    await ensure();
    expect(verifyRedisSha256(password('reference-api', 'redis_password'), held('redis', 'reference-api'))).toBe(true);
    expect(kv.value('services/redis/clients', 'other')).toBe(own);
    expect(verifyRedisSha256('p', held('redis', 'renamed'))).toBe(true);
    kv.put('services/redis-exporter', { username: 'again', password: 'p' });
    await ensure();
    expect(kv.value('services/redis/clients', 'renamed')).toBeUndefined();
    kv.put('services/redis/clients', { broken: '1', worse: '{' });
    expect(await readClients(kv.client, 'redis')).toEqual([]);
  });

  it('ends with one result when two run at once', async () => {
    const reports = await Promise.all([ensure(), ensure()]);
    const created = reports.flatMap((report) => report.created);
    expect(new Set(created).size).toBe(created.length);
    expect(await verifyScramSha256(password('forgejo', 'postgres_password'), held('postgres', 'forgejo'))).toBe(true);
    expect((await ensure()).kept).toHaveLength(17);
  });

  it('knows an answer that got lost for the yes that it was', async () => {
    kv.loseAnswers = 1;
    expect((await ensure(['redis'])).kept).toEqual(['services/redis']);
    expect(kv.secrets.get('services/redis')?.version).toBe(1);
  });

  it('writes again where every version was deleted', async () => {
    kv.put('services/redis', undefined);
    expect((await ensure(['redis'])).created).toContain('services/redis');
    expect(kv.secrets.get('services/redis')?.version).toBe(2);
  });

  it('gives up when somebody else writes the same all the time', async () => {
    kv.beforeWrite = (path) => {
      kv.put(path, { password: 'theirs' });
    };
    await expect(ensure(['redis'])).rejects.toMatchObject({
      code: 'SERVICE_SECRET_CONTENDED',
      details: { path: 'services/redis' },
    });
  });

  it('passes on what the client throws', async () => {
    kv.beforeWrite = () => {
      throw new Error('no');
    };
    await expect(ensure(['redis'])).rejects.toThrow('no');
  });
});

describe('rotateServiceSecret', () => {
  const rotate = (role: string, field?: string) =>
    rotateServiceSecret({ client: kv.client, role, ...(field === undefined ? {} : { field }) });

  it('changes every password of a role and the verifiers at its servers', async () => {
    await ensure();
    const before = { ...kv.secrets.get('services/reference-api')?.data };
    const report = await rotate('reference-api');
    expect(report).toMatchObject({
      role: 'reference-api',
      version: 2,
      servers: ['postgres', 'mysql', 'mongodb', 'redis', 'rabbitmq'],
    });
    for (const field of report.fields) expect(password('reference-api', field)).not.toBe(before[field]?.reveal());
    expect(
      await verifyScramSha256(password('reference-api', 'postgres_password'), held('postgres', 'reference_api')),
    ).toBe(true);
    expect(await verifyScramSha256(password('pgbouncer'), held('postgres', 'pgbouncer'))).toBe(true);
    expect((await ensure()).kept).toHaveLength(17);
  });

  it('leaves keys alone unless they are named', async () => {
    await ensure();
    const key = password('forgejo', 'jwt_secret');
    expect(Buffer.from(key, 'base64url')).toHaveLength(32);
    expect((await rotate('forgejo')).fields).toEqual(['password', 'postgres_password']);
    expect(password('forgejo', 'jwt_secret')).toBe(key);
    expect(await rotate('forgejo', 'jwt_secret')).toMatchObject({ fields: ['jwt_secret'], servers: [] });
    expect(password('forgejo', 'jwt_secret')).not.toBe(key);
  });

  it('refuses what it does not know', async () => {
    await expect(rotate('operator')).rejects.toMatchObject({ code: 'SECRET_ROLE_UNKNOWN' });
    await expect(rotate('redis', 'username')).rejects.toMatchObject({ code: 'SECRET_FIELD_UNKNOWN' });
    await expect(rotate('redis')).rejects.toMatchObject({ code: 'SERVICE_SECRET_MISSING' });
  });
});

describe('generateValue', () => {
  const field = { name: 'password', generate: 'password', rotates: true } as const;

  it('favours no letter', () => {
    const bytes = (size: number) => Uint8Array.from({ length: size }, (_, index) => index % 256);
    const text = generateValue({ ...field, length: 248 }, bytes).reveal();
    const counts = Map.groupBy(text, (letter) => letter);
    expect(counts.size).toBe(62);
    for (const letters of counts.values()) expect(letters).toHaveLength(4);
  });

  it('asks for more bytes when too many had to be left out', () => {
    let asked = 0;
    const stubborn = (size: number) => new Uint8Array(size).fill(asked++ === 0 ? 255 : 0);
    expect(generateValue({ ...field, length: 4 }, stubborn).reveal()).toBe('AAAA');
  });
});

describe('clientEntryMatches', () => {
  it('is false for a password where a verifier belongs, and for other grants', async () => {
    const about = { role: 'reference-api', grants: 'application' };
    const secret = new Secret('p');
    const right = await clientEntry('redis', secret, about);
    expect(await clientEntryMatches('redis', secret, about, right)).toBe(true);
    expect(await clientEntryMatches('redis', secret, { ...about, grants: 'monitor' }, right)).toBe(false);
    expect(await clientEntryMatches('redis', secret, about, await clientEntry('mongodb', secret, about))).toBe(false);
    expect(
      await clientEntryMatches('mongodb', new Secret('other'), about, await clientEntry('mongodb', secret, about)),
    ).toBe(false);
    expect(await clientEntryMatches('redis', secret, about, 'null')).toBe(false);
  });
});
