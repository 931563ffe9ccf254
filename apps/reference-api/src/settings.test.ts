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
        tls: false,
      },
      tls: { mode: 'false', service: 'reference-api' },
    });
  });

  it.each(['true', 'required'])('use the TLS of a server that says %s, at its port for it', (mode) => {
    const plain = readSettings({});
    const all = Object.fromEntries(
      ['POSTGRES', 'MYSQL', 'MONGODB', 'RABBITMQ', 'REDIS'].map((name) => [`${name}_TLS`, mode]),
    );
    expect(readSettings(all)).toMatchObject({
      postgres: { host: 'pgbouncer', port: 6432, tls: true },
      mysql: { host: 'mysql', port: 3306, tls: true },
      mongodb: { host: 'mongodb', port: 27_018, tls: true },
      rabbitmq: { host: 'rabbitmq', port: 5671, tls: true },
      redis: {
        tls: true,
        nodes: [
          { host: 'redis-1', port: 6390 },
          { host: 'redis-2', port: 6390 },
          { host: 'redis-3', port: 6390 },
        ],
      },
      rootsFile: '/run/approle/ca.pem',
      tls: { mode: 'false' },
    });
    // One server alone, and a port that is given wins.
    const { mongodb, rabbitmq } = readSettings({ MONGODB_TLS: mode, MONGODB_PORT: '1' });
    expect([mongodb, rabbitmq]).toEqual([{ host: 'mongodb', port: 1, tls: true }, plain.rabbitmq]);
  });

  it('offer HTTPS beside HTTP, or with HTTP for the container alone', () => {
    const everywhere = { host: '0.0.0.0', port: 8080 };
    const secure = { host: '0.0.0.0', port: 8443 };
    expect(readSettings({ DEVSTACK_TLS: 'true', DEVSTACK_CERTIFICATE_TTL_SECONDS: '' })).toMatchObject({
      listen: everywhere,
      tls: { mode: 'true', listen: secure },
    });
    expect(readSettings({ DEVSTACK_TLS: 'true' }).tls).not.toHaveProperty('certificateTtlS');
    const required = { DEVSTACK_TLS: 'required', DEVSTACK_CERTIFICATE_TTL_SECONDS: '60', LISTEN_TLS_PORT: '9443' };
    expect(readSettings(required)).toMatchObject({
      listen: { host: '127.0.0.1', port: 8080 },
      tls: { mode: 'required', listen: { host: '0.0.0.0', port: 9443 }, certificateTtlS: 60 },
    });
    // Whatever LISTEN_HOST says: no plain port that others reach.
    expect(readSettings({ DEVSTACK_TLS: 'required', LISTEN_HOST: '10.0.0.1' })).toMatchObject({
      listen: { host: '127.0.0.1' },
      tls: { listen: { host: '10.0.0.1' } },
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
    ['DEVSTACK_TLS', 'yes'],
    ['POSTGRES_TLS', 'on'],
    ['REDIS_TLS', 'TRUE'],
    ['LISTEN_TLS_PORT', '70000'],
    ['DEVSTACK_CERTIFICATE_TTL_SECONDS', '1h'],
  ])('refuse %s=%s', (name, value) => {
    expect(() => readSettings({ [name]: value })).toThrow(
      expect.objectContaining({
        code: 'SETTING_INVALID',
        details: expect.objectContaining({ name, usage: true }) as object,
      }),
    );
  });
});
