import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DevstackError } from '@devstack-core/errors';
import { secret } from '@devstack-core/redaction';
import type { VaultClient } from '@devstack-core/vault-client';
import { describe, expect, onTestFinished, test } from 'vitest';
import { wrap } from '../test/fake-container.ts';
import { readServiceCredentials, type VaultLoginOptions } from './vault-login.ts';

async function files(contents: Record<string, string>): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'approle-'));
  onTestFinished(() => rm(directory, { recursive: true }));
  for (const [name, text] of Object.entries(contents)) await writeFile(join(directory, name), text);
  return directory;
}

const both = { 'role-id': 'the-role\n', 'secret-id': 'the-secret\n' };
const failure = (code: string) =>
  code === 'not-active'
    ? new DevstackError({ code: 'VAULT_REQUEST_FAILED', message: 'x', details: { reason: code } })
    : new DevstackError({ code, message: 'x' });

/** A Vault that fails in the given ways first, and remembers what it was asked. */
function vault({
  login = [],
  read = [],
  missing = false,
}: { login?: string[]; read?: string[]; missing?: boolean } = {}) {
  const asked: string[] = [];
  const fail = (queue: string[]): void => {
    const code = queue.shift();
    if (code !== undefined) throw failure(code);
  };
  const client = {
    loginAppRole: async ({ roleId, secretId }: { roleId: string; secretId: { reveal(): string } }) => {
      asked.push(`login ${roleId} ${secretId.reveal()}`);
      fail(login);
      return { token: secret('the-token') };
    },
    withToken: (token: { reveal(): string }) => {
      asked.push(`token ${token.reveal()}`);
      return client;
    },
    kvRead: async (path: string) => {
      asked.push(`read ${path}`);
      fail(read);
      if (path.endsWith('/clients')) return undefined;
      return missing ? undefined : { data: wrap({ password: 'p' }), version: 2, createdTime: 'then' };
    },
    revokeSelf: async () => {
      asked.push('revoke');
    },
  };
  return { asked, connect: () => client as unknown as VaultClient };
}

const options = (directory: string, connect: VaultLoginOptions['connect']): VaultLoginOptions => ({
  address: 'http://vault:8200',
  directory,
  service: 'postgres',
  role: 'postgres',
  method: 'approle',
  ...(connect === undefined ? {} : { connect }),
});

describe('readServiceCredentials', () => {
  test('logs in, reads the secret and its clients, and revokes the token', async () => {
    const { asked, connect } = vault();
    const credentials = await readServiceCredentials(options(await files(both), connect));
    expect(asked).toEqual([
      'login the-role the-secret',
      'token the-token',
      'read services/postgres',
      'read services/postgres/clients',
      'revoke',
    ]);
    expect(credentials.versions).toEqual({
      secrets: { version: 2, createdTime: 'then' },
      clients: { version: 0, createdTime: '' },
    });
  });

  test('the fallback uses the delivered token and no AppRole', async () => {
    const { asked, connect } = vault();
    await readServiceCredentials({ ...options(await files({ token: 'delivered' }), connect), method: 'token' });
    expect(asked).toEqual(['token delivered', 'read services/postgres', 'read services/postgres/clients', 'revoke']);
  });

  test.each([
    ['VAULT_SEALED', 'Vault is sealed'],
    ['VAULT_UNREACHABLE', 'Vault does not answer'],
    ['not-active', 'Vault is not active yet'],
  ])('waits while Vault says %s, and says what it waits for', async (code, words) => {
    const { connect } = vault({ login: [code], read: [code] });
    const lines: string[] = [];
    await readServiceCredentials({ ...options(await files(both), connect), progress: (line) => lines.push(line) });
    expect(lines).toEqual([expect.stringContaining(words), expect.stringContaining(words)]);
  });

  test('gives up at the deadline, with what it waited for', async () => {
    const { connect } = vault({ login: ['VAULT_SEALED'] });
    await expect(
      readServiceCredentials({ ...options(await files(both), connect), deadlineMs: 0 }),
    ).rejects.toMatchObject({ code: 'VAULT_WAIT_TIMED_OUT' });
  });

  test('an abort ends the waiting', async () => {
    const { connect } = vault({ login: ['VAULT_SEALED'] });
    await expect(
      readServiceCredentials({ ...options(await files(both), connect), signal: AbortSignal.abort(new Error('stop')) }),
    ).rejects.toThrow('stop');
  });

  test.each(['VAULT_BAD_CREDENTIALS', 'VAULT_PERMISSION_DENIED'])('%s at the login is final', async (code) => {
    const { connect } = vault({ login: [code] });
    await expect(readServiceCredentials(options(await files(both), connect))).rejects.toMatchObject({
      code: 'VAULT_LOGIN_REFUSED',
      hint: expect.stringContaining('rotate-secret-ids postgres') as string,
    });
  });

  test('a token of another role is refused and revoked', async () => {
    const { asked, connect } = vault({ read: ['VAULT_PERMISSION_DENIED'] });
    await expect(
      readServiceCredentials({ ...options(await files({ token: 't' }), connect), method: 'token' }),
    ).rejects.toMatchObject({ code: 'VAULT_LOGIN_REFUSED' });
    expect(asked.at(-1)).toBe('revoke');
  });

  test('no secret says what makes it', async () => {
    const { connect } = vault({ missing: true });
    await expect(readServiceCredentials(options(await files(both), connect))).rejects.toMatchObject({
      code: 'SECRET_MISSING',
    });
  });

  test.each([
    [{ 'secret-id': 'x' }, 'APPROLE_FILE_MISSING', 'role-id'],
    [{ 'role-id': 'x' }, 'APPROLE_FILE_MISSING', 'secret-id'],
    [{ 'role-id': 'x', 'secret-id': ' \n' }, 'APPROLE_FILE_EMPTY', 'secret-id'],
    [{ 'role-id': 'two words', 'secret-id': 'x' }, 'APPROLE_FILE_UNREADABLE', 'role-id'],
  ])('%j → %s', async (contents, code, file) => {
    await expect(readServiceCredentials(options(await files(contents), vault().connect))).rejects.toMatchObject({
      code,
      details: { file },
    });
  });

  test('a file that cannot be read names its owner', async () => {
    const directory = await files(both);
    await chmod(join(directory, 'role-id'), 0);
    if (process.getuid?.() === 0) {
      // Root reads everything: a folder in the place of the file cannot be read by anybody.
      await rm(join(directory, 'role-id'));
      await import('node:fs/promises').then((fs) => fs.mkdir(join(directory, 'role-id')));
    }
    await expect(readServiceCredentials(options(directory, vault().connect))).rejects.toMatchObject({
      code: 'APPROLE_FILE_UNREADABLE',
      message: expect.stringContaining('belongs to uid') as string,
    });
  });

  test('a real client is made for the address when none is given', async () => {
    await expect(
      readServiceCredentials({
        ...options(await files(both), undefined),
        address: 'http://127.0.0.1:1',
        deadlineMs: 0,
      }),
    ).rejects.toMatchObject({ code: 'VAULT_WAIT_TIMED_OUT' });
  });
});
