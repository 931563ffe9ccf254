import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { fakeContainer } from '../test/fake-container.ts';
import { pgbouncerInit } from './pgbouncer.ts';

const secrets = { username: 'pgbouncer', password: 'a "quoted" one' };

describe('pgbouncer', () => {
  test('holds the password of its own user alone, in a private file', async () => {
    await using container = await fakeContainer('pgbouncer');
    await container.program('pgbouncer');
    const prepared = await pgbouncerInit.prepare(container.context({ secrets }));
    const userlist = join(container.root, 'credentials/userlist.txt');
    expect(await readFile(userlist, 'utf8')).toBe('"pgbouncer" "a ""quoted"" one"\n');
    expect((await stat(userlist)).mode & 0o777).toBe(0o600);
    expect(prepared.argv).toEqual([`${container.root}/bin/pgbouncer`, `${container.root}/config/pgbouncer.ini`]);
  });

  test('its user is the one that looks others up and that administers', async () => {
    await using container = await fakeContainer('pgbouncer');
    await container.program('pgbouncer');
    await pgbouncerInit.prepare(container.context({ secrets }));
    const ini = await readFile(join(container.root, 'credentials/pgbouncer.ini'), 'utf8');
    expect(ini).toContain('auth_user = pgbouncer\n');
    expect(ini).toContain('admin_users = pgbouncer\n');
    expect(ini).not.toContain(secrets.password);
  });

  test('a name that would break out of the file is refused', async () => {
    await using container = await fakeContainer('pgbouncer');
    await container.program('pgbouncer');
    await expect(
      pgbouncerInit.prepare(container.context({ secrets: { ...secrets, username: 'a\nadmin_users = b' } })),
    ).rejects.toMatchObject({ code: 'SECRET_FIELD_MISSING' });
  });
});
