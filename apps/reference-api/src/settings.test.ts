import { describe, expect, it } from 'vitest';
import { readSettings } from './settings.ts';

describe('settings', () => {
  it('are those of the stack when nothing is set', () => {
    expect(readSettings({ MYSQL_HOST: '' })).toMatchObject({
      listen: { host: '0.0.0.0', port: 8080 },
      vault: { address: 'http://vault:8200', directory: '/run/approle', method: 'approle', role: 'reference-api' },
      postgres: { host: 'pgbouncer', port: 6432 },
      mysql: { host: 'mysql', port: 3306 },
      redis: {
        cluster: true,
        nodes: [
          { host: 'redis-1', port: 6379 },
          { host: 'redis-2', port: 6379 },
          { host: 'redis-3', port: 6379 },
        ],
      },
    });
  });

  it('come from the environment', () => {
    expect(
      readSettings({
        VAULT_USE_ROOT_TOKEN: 'true',
        REDIS_NODES: '10.0.0.1:7000',
        REDIS_CLUSTER: 'false',
        POSTGRES_PORT: '1',
      }),
    ).toMatchObject({
      vault: { method: 'token' },
      postgres: { port: 1 },
      redis: { cluster: false, nodes: [{ host: '10.0.0.1', port: 7000 }] },
    });
  });

  it.each([
    ['LISTEN_PORT', '65536'],
    ['LISTEN_PORT', 'http'],
    ['REDIS_NODES', 'redis-1'],
    ['REDIS_NODES', 'redis-1:70000'],
    ['REDIS_CLUSTER', 'yes'],
    ['LOG_LEVEL', 'loud'],
    ['DRAIN_DELAY_MS', '-1'],
  ])('refuse %s=%s', (name, value) => {
    expect(() => readSettings({ [name]: value })).toThrow(
      expect.objectContaining({
        code: 'SETTING_INVALID',
        details: expect.objectContaining({ name, usage: true }) as object,
      }),
    );
  });
});
