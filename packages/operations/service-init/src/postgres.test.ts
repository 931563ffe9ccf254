import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { fakeContainer, type FakeContainer } from '../test/fake-container.ts';
import { postgresInit } from './postgres.ts';

const secrets = { username: 'devstack', password: 'S3cret-of-postgres', database: 'devstack' };

// initdb makes a folder with PG_VERSION; the server notes what it was asked, and lists the databases.
async function withPostgres(container: FakeContainer, { server = 'exit 0', initdb = 'exit 0' } = {}): Promise<void> {
  await container.program(
    'initdb',
    `echo "initdb $*" >> ${container.root}/calls; case "$1" in --pgdata) /bin/mkdir -p "$2/base"; echo 17 > "$2/PG_VERSION";; esac; ${initdb}`,
  );
  await container.program(
    'postgres',
    `echo "postgres $*" >> ${container.root}/calls; /bin/cat >> ${container.root}/stdin; printf '\\t 1: datname = "devstack"\\t(typeid = 19)\\n\\t----\\n'; ${server}`,
  );
}
const calls = async (container: FakeContainer) => readFile(join(container.root, 'calls'), 'utf8').catch(() => '');
const stdin = async (container: FakeContainer) => readFile(join(container.root, 'stdin'), 'utf8').catch(() => '');

describe('postgres', () => {
  test('the first start makes the cluster under another name, and renames it when it is complete', async () => {
    await using container = await fakeContainer('postgres');
    await withPostgres(container, { server: `[ -e ${container.root}/data/data ] && exit 9; exit 0` });
    const prepared = await postgresInit.prepare(container.context({ secrets }));
    expect(prepared.argv).toEqual([
      `${container.root}/bin/postgres`,
      '-D',
      `${container.root}/data/data`,
      `--config-file=${container.root}/config/postgresql.conf`,
    ]);
    expect(await readdir(join(container.root, 'data'))).toEqual(['data']);
    expect(await readdir(join(container.root, 'data/data'))).toContain('.devstack-applied.json');
    expect(container.lines).toEqual(['first start: creating the database cluster']);
  });

  test('passwords reach the server on its stdin, and are in no argument', async () => {
    await using container = await fakeContainer('postgres');
    await withPostgres(container);
    await postgresInit.prepare(container.context({ secrets }));
    expect(await stdin(container)).toContain(secrets.password);
    expect(await calls(container)).not.toContain(secrets.password);
    expect(await calls(container)).toContain('log_min_error_statement=panic');
    expect(await readFile(join(container.root, 'credentials/pgpass'), 'utf8')).toBe(
      `*:*:*:devstack:${secrets.password}\n`,
    );
  });

  test('what a killed first start left behind is removed', async () => {
    await using container = await fakeContainer('postgres');
    await withPostgres(container);
    await mkdir(join(container.root, 'data/data.partial/base'), { recursive: true });
    await writeFile(join(container.root, 'data/data.partial/half'), '');
    await postgresInit.prepare(container.context({ secrets }));
    expect(await readdir(join(container.root, 'data/data'))).not.toContain('half');
  });

  test('a start without a change runs nothing', async () => {
    await using container = await fakeContainer('postgres');
    await withPostgres(container);
    await postgresInit.prepare(container.context({ secrets }));
    await writeFile(join(container.root, 'calls'), '');
    await postgresInit.prepare(container.context({ secrets }));
    expect(await calls(container)).toBe('');
  });

  test('a new version of the secret is applied, once', async () => {
    await using container = await fakeContainer('postgres');
    await withPostgres(container);
    await postgresInit.prepare(container.context({ secrets }));
    await writeFile(join(container.root, 'stdin'), '');
    const changed = container.context({ secrets: { ...secrets, password: 'another one' }, version: 2 });
    await postgresInit.prepare(changed);
    expect(await stdin(container)).toContain(`PASSWORD E'another one'`);
    expect(await stdin(container)).not.toContain('CREATE DATABASE');
    await writeFile(join(container.root, 'stdin'), '');
    await postgresInit.prepare(changed);
    expect(await stdin(container)).toBe('');
  });

  test('a refused change names the state, not the statement, and is tried again at the next start', async () => {
    await using container = await fakeContainer('postgres');
    await withPostgres(container);
    await postgresInit.prepare(container.context({ secrets }));
    await withPostgres(container, { server: `echo "42501 FATAL:  must be owner of ${secrets.password}" >&2; exit 1` });
    const failing = postgresInit.prepare(container.context({ secrets, version: 2 }));
    await expect(failing).rejects.toMatchObject({ code: 'APPLY_FAILED', details: { sqlState: '42501' } });
    await expect(failing).rejects.not.toThrow(secrets.password);
    await withPostgres(container);
    await postgresInit.prepare(container.context({ secrets, version: 2 }));
    expect(container.lines.filter((line) => line === 'applying changed credentials')).toHaveLength(2);
  });

  test('a server that dies without a word is reported with its exit code', async () => {
    await using container = await fakeContainer('postgres');
    await withPostgres(container, { server: 'exit 7' });
    await expect(
      postgresInit.prepare(container.context({ secrets, signal: new AbortController().signal })),
    ).rejects.toMatchObject({ code: 'APPLY_FAILED', details: { exitCode: 7, sqlState: null } });
  });

  test.each([
    ['initdb', 'case "$1" in --pgdata) echo no space >&2; exit 1;; esac'],
    ['initdb --sync-only', 'case "$1" in --sync-only) echo no space >&2; exit 1;; esac'],
  ])('a failed %s leaves no cluster', async (name, initdb) => {
    await using container = await fakeContainer('postgres');
    await withPostgres(container, { initdb });
    await expect(postgresInit.prepare(container.context({ secrets }))).rejects.toMatchObject({
      code: 'FIRST_START_FAILED',
      details: { program: name },
    });
    expect(await readdir(join(container.root, 'data'))).toEqual(['data.partial']);
  });

  test('an image without the server says so before anything is written', async () => {
    await using container = await fakeContainer('postgres');
    await expect(postgresInit.prepare(container.context({ secrets }))).rejects.toMatchObject({
      code: 'PROGRAM_MISSING',
    });
    expect(await readdir(join(container.root, 'data'))).toEqual([]);
  });

  test('a data volume that is not there is named', async () => {
    await using container = await fakeContainer('postgres');
    await expect(
      postgresInit.prepare({ ...container.context({ secrets }), dataDirectory: '/nonexistent' }),
    ).rejects.toMatchObject({ code: 'DATA_UNUSABLE' });
  });
});
