import { DevstackError } from '@devstack-core/errors';
import { Secret } from '@devstack-core/redaction';
import { describe, expect, it, vi } from 'vitest';
import type { CredentialSource } from '../vault/credential-source.ts';
import { parseCredentials, type Credentials } from '../vault/credentials.ts';
import { Backend, type BackendOptions } from './backend.ts';

const error = (code: string): DevstackError => new DevstackError({ code, message: code });

interface Fake extends AsyncDisposable {
  close(): Promise<void>;
  readonly number: number;
}

function fakeBackend(options: Partial<BackendOptions<Fake>> = {}): {
  backend: Backend<Fake>;
  closed: number[];
  credentials: CredentialSource;
} {
  const closed: number[] = [];
  let number = 0;
  const credentials: CredentialSource = {
    current: () => ({}) as Credentials,
    refresh: vi.fn(async () => ({}) as Credentials),
    assertLoggedIn: () => undefined,
  };
  const backend = new Backend<Fake>({
    name: 'database',
    credentials,
    connect: async () => {
      number += 1;
      const own = number;
      const close = async (): Promise<void> => void closed.push(own);
      return { number: own, close, [Symbol.asyncDispose]: close };
    },
    check: async () => undefined,
    ...options,
  });
  return { backend, closed, credentials };
}

describe('a backend', () => {
  it('connects when it is needed, once', async () => {
    const prepare = vi.fn(async () => undefined);
    const { backend, closed } = fakeBackend({ prepare });
    const numbers = await Promise.all([
      backend.use(async ({ number }) => number),
      backend.use(async ({ number }) => number),
    ]);
    await backend.check();
    expect([numbers, prepare.mock.calls.length]).toEqual([[1, 1], 1]);
    await backend[Symbol.asyncDispose]();
    expect(closed).toEqual([1]);
    await expect(backend.check()).rejects.toMatchObject({ code: 'BACKEND_UNAVAILABLE' });
  });

  it('spreads work over its connections', async () => {
    const { backend } = fakeBackend({ connections: 2 });
    const numbers = await Promise.all([1, 2, 3, 4].map(() => backend.use(async ({ number }) => number)));
    expect(numbers.sort()).toEqual([1, 1, 2, 2]);
  });

  it('connects again after a connection was lost, and repeats what may be repeated', async () => {
    const { backend, closed } = fakeBackend();
    await backend.check();
    const seen: number[] = [];
    const work = async ({ number }: Fake): Promise<number> => {
      seen.push(number);
      if (number === 1) throw error('CONNECTION_LOST');
      return number;
    };
    expect(await backend.use(work)).toBe(2);
    expect([seen, closed]).toEqual([[1, 2], [1]]);
  });

  it('does not repeat what must happen once', async () => {
    const { backend } = fakeBackend();
    await backend.check();
    const work = vi.fn(async () => Promise.reject(error('CONNECTION_LOST')));
    await expect(backend.use(work, { repeatable: false })).rejects.toMatchObject({
      code: 'BACKEND_UNAVAILABLE',
      details: { backend: 'database', reason: 'CONNECTION_LOST' },
    });
    expect(work).toHaveBeenCalledTimes(1);
  });

  it('keeps a connection on which a statement failed', async () => {
    const { backend, closed } = fakeBackend();
    await expect(backend.use(async () => Promise.reject(error('DATABASE_ERROR')))).rejects.toMatchObject({
      code: 'DATABASE_ERROR',
    });
    expect([await backend.use(async ({ number }) => number), closed]).toEqual([1, []]);
  });

  it('asks for the credentials again when they are refused, as they may have been rotated', async () => {
    const connect = vi
      .fn()
      .mockRejectedValueOnce(error('AUTHENTICATION_FAILED'))
      .mockResolvedValue({ number: 7, close: async () => undefined });
    const { backend, credentials } = fakeBackend({ connect });
    expect(await backend.use(async ({ number }) => number)).toBe(7);
    expect(credentials.refresh).toHaveBeenCalledTimes(1);
  });

  it('tries again after a connection could not be made or prepared', async () => {
    const connect = vi
      .fn()
      .mockRejectedValueOnce(error('CONNECTION_REFUSED'))
      .mockResolvedValue({ number: 1, close: async () => undefined });
    const prepare = vi.fn().mockRejectedValueOnce(error('DATABASE_ERROR')).mockResolvedValue(undefined);
    const { backend } = fakeBackend({ connect, prepare });
    await expect(backend.check()).rejects.toMatchObject({
      code: 'BACKEND_UNAVAILABLE',
      details: { reason: 'CONNECTION_REFUSED' },
    });
    await expect(backend.check()).rejects.toMatchObject({ code: 'DATABASE_ERROR' });
    await backend.check();
  });
});

describe('credentials', () => {
  const fields = [
    'postgres_username',
    'postgres_password',
    'postgres_database',
    'mysql_username',
    'mysql_password',
    'mysql_database',
    'mongodb_username',
    'mongodb_password',
    'mongodb_database',
    'redis_username',
    'redis_password',
    'rabbitmq_username',
    'rabbitmq_password',
  ];
  const data = Object.fromEntries(fields.map((name) => [name, new Secret(`value of ${name}`)]));

  it('are what the secret holds', () => {
    expect(parseCredentials(data)).toMatchObject({
      postgres: { username: 'value of postgres_username', database: 'value of postgres_database' },
    });
    expect(parseCredentials(data).redis.password.reveal()).toBe('value of redis_password');
  });

  it('name all that is missing', () => {
    const { mysql_password: _, redis_username: __, ...rest } = data;
    expect(() => parseCredentials(rest)).toThrow(
      expect.objectContaining({
        code: 'CREDENTIALS_INCOMPLETE',
        details: { missing: ['mysql_password', 'redis_username'] },
      }),
    );
  });
});
