import { describe, expect, test } from 'vitest';
import { readSettings } from './settings.ts';

const environment = {
  DEVSTACK_SERVICE: 'redis-1',
  DEVSTACK_ROLE: 'redis',
  DEVSTACK_ENGINE: 'redis',
  VAULT_ADDR: 'http://vault:8200',
};

describe('readSettings', () => {
  test('has a default for everything that does not name the service', () => {
    expect(readSettings(environment)).toEqual({
      service: 'redis-1',
      role: 'redis',
      engine: 'redis',
      vaultAddress: 'http://vault:8200',
      approleDirectory: '/run/approle',
      method: 'approle',
      deadlineMs: 120_000,
      dataDirectory: '/var/lib/devstack',
      configDirectory: '/etc/devstack',
      credentialsDirectory: '/run/credentials',
    });
  });

  test.each(Object.keys(environment))('%s must be set', (name) => {
    expect(() => readSettings({ ...environment, [name]: '' })).toThrow(
      expect.objectContaining({ code: 'USAGE', message: `${name} is not set.` }),
    );
  });

  test.each([
    [{}, 'approle'],
    [{ VAULT_USE_ROOT_TOKEN: 'false' }, 'approle'],
    [{ VAULT_USE_ROOT_TOKEN: '' }, 'approle'],
    [{ VAULT_USE_ROOT_TOKEN: 'true' }, 'token'],
    [{ REDIS_1_VAULT_USE_ROOT_TOKEN: 'true' }, 'token'],
    [{ VAULT_USE_ROOT_TOKEN: 'true', REDIS_1_VAULT_USE_ROOT_TOKEN: 'false' }, 'approle'],
    [{ POSTGRES_VAULT_USE_ROOT_TOKEN: 'true' }, 'approle'],
    [{ VAULT_USE_APPROLE: 'false', VAULT_USE_ROOT_TOKEN: 'true' }, 'token'],
  ])('%j logs in by %s', (variables, method) => {
    expect(readSettings({ ...environment, ...variables }).method).toBe(method);
  });

  test.each([
    [{ VAULT_USE_ROOT_TOKEN: 'yes' }, 'VAULT_USE_ROOT_TOKEN is "yes".'],
    [{ VAULT_USE_APPROLE: '1' }, 'VAULT_USE_APPROLE is "1".'],
    [
      { VAULT_USE_APPROLE: 'false' },
      'VAULT_USE_APPROLE and VAULT_USE_ROOT_TOKEN are both false: there is no way to log in to Vault.',
    ],
    [{ DEVSTACK_VAULT_WAIT_SECONDS: '1m' }, 'DEVSTACK_VAULT_WAIT_SECONDS is "1m".'],
  ])('%j is refused: the fallback is never chosen by mistake', (variables, message) => {
    expect(() => readSettings({ ...environment, ...variables })).toThrow(
      expect.objectContaining({ code: 'USAGE', message }),
    );
  });
});
