import { mkdir, readFile, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { secret } from '@devstack-core/redaction';
import { describe, expect, it } from 'vitest';
import { fakeContainer, wrap } from '../test/fake-container.ts';
import { mysqlNativeHash, renderMysqlInitFile } from './mysql-users.ts';
import { mysqlInit } from './mysql.ts';

const secrets = { username: 'devstack', password: 'p1-secret', root_password: 'r1-secret', database: 'dev_stack' };
const health = { username: 'devstack_health', password: secret('h1-secret') };
const hash = '*2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19';

function client(grants: string, verifier = hash) {
  return { username: 'reference_api', verifier: secret(verifier), role: 'reference-api', grants };
}

describe('mysqlNativeHash', () => {
  it('is what the server computes itself', () => {
    // SELECT PASSWORD('password') of MariaDB.
    expect(mysqlNativeHash(secret('password'))).toBe(hash);
  });
});

describe('the init-file', () => {
  it('holds hashes, and no password', () => {
    const context = { role: 'mysql', secrets: wrap(secrets), clients: [client('application')] };
    const text = renderMysqlInitFile(context, health).reveal();
    expect(text).toContain(
      `ALTER USER 'devstack'@'%' IDENTIFIED VIA mysql_native_password USING '${mysqlNativeHash(secret('p1-secret'))}'`,
    );
    expect(text).not.toMatch(/p1-secret|r1-secret|h1-secret/);
    expect(text).toContain("ON `dev\\_stack`.* TO 'reference_api'@'%'");
    expect(text.split('\n').every((line) => line === '' || line.endsWith(';'))).toBe(true);
  });

  it('drops users of earlier starts that are gone, and nobody else', () => {
    const context = { role: 'mysql', secrets: wrap(secrets), clients: [client('monitor')] };
    const text = renderMysqlInitFile(context, health, ['devstack', 'reference_api', 'gone']).reveal();
    expect(text.match(/DROP USER IF EXISTS '(?!mysql')[^']+'/g)).toEqual(["DROP USER IF EXISTS 'gone'"]);
  });

  it.each([
    ['grants that are not known', client('everything')],
    ['a verifier that is none', client('application', 'plain text')],
  ])('refuses a client with %s, naming it alone', (_what, wrong) => {
    const context = { role: 'mysql', secrets: wrap(secrets), clients: [wrong] };
    expect(() => renderMysqlInitFile(context, health)).toThrow(
      expect.objectContaining({ code: 'CLIENT_INVALID', message: expect.not.stringContaining('plain text') as string }),
    );
  });
});

describe('mysql', () => {
  it('makes the data directory beside and renames it; the next start leaves it alone', async () => {
    await using container = await fakeContainer('mysql');
    const server = await container.program('mariadbd');
    await container.program('sync');
    await container.program(
      'mariadb-install-db',
      'for a; do case $a in --datadir=*) mkdir "${a#--datadir=}/mysql";; esac; done',
    );
    await mkdir(join(container.root, 'data/data.partial'));
    const context = container.context({ secrets });
    const prepared = await mysqlInit.prepare(context);
    await mysqlInit.prepare(context);
    expect(container.lines).toHaveLength(1);
    expect((await readdir(join(container.root, 'data'))).sort()).toEqual(['.devstack-users.json', 'data']);
    expect(prepared.argv[0]).toBe(server);
    expect(prepared.argv.join(' ')).not.toMatch(/-secret/);
    const file = join(container.root, 'credentials/health.cnf');
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect(await readFile(file, 'utf8')).not.toContain('p1-secret');
  });

  it('says what the installer said when it fails, and leaves no data directory', async () => {
    await using container = await fakeContainer('mysql');
    await container.program('mariadbd');
    await container.program('mariadb-install-db', 'echo "FATAL ERROR: No space left on device" >&2; exit 1');
    await expect(mysqlInit.prepare(container.context({ secrets }))).rejects.toMatchObject({
      code: 'FIRST_START_FAILED',
      message: expect.stringContaining('No space left on device') as string,
    });
    expect(await readdir(join(container.root, 'data'))).not.toContain('data');
  });
});
