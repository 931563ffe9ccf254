import type { Stack } from '@devstack-core/stack-lifecycle';
import type { VaultClient } from '@devstack-core/vault-client';
import { Secret } from '@devstack-core/redaction';
import { describe, expect, it, vi } from 'vitest';
import { StackPlaces } from './places.ts';
import { databaseBackups, selectBackupServices } from './services.ts';

vi.mock(import('@devstack-core/stack-lifecycle'), () => ({
  requireEndpoint: (_: Stack, service: string) => ({ host: '127.0.0.1', port: 1, tls: service === 'mongodb' ? { ca: 'c' } : false }),
}) as never); // prettier-ignore

const all = ['vault', 'postgres', 'mysql', 'mongodb', 'redis-1', 'redis-2', 'rabbitmq', 'forgejo'];
const login = { username: 'ada', password: 'p', root_password: 'r', postgres_database: 'own' };

interface World {
  readonly running?: readonly string[];
  readonly stopped?: readonly string[];
  readonly fields?: Readonly<Record<string, string>>;
}

async function places({ running = all, stopped = [], fields = login }: World = {}): Promise<[StackPlaces, Stack]> {
  const row = (state: string) => (service: string) => ({ id: `id-${service}`, service, state });
  const docker = {
    listContainers: ({ all: everything = false }: { readonly all?: boolean }) =>
      Promise.resolve([...running.map(row('running')), ...(everything ? stopped.map(row('exited')) : []), { id: 'x' }]),
  };
  const model = {
    services: all.map((name) => ({ name })),
    service: (name: string) => ({ name }),
    volumeName: (name: string) => `p_${name}`,
  };
  const stack = { project: { id: 'p' }, model, engine: () => Promise.resolve(docker) } as unknown as Stack;
  const data = Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, new Secret(value)]));
  const vault = { kvRead: () => Promise.resolve({ data }) } as unknown as Pick<VaultClient, 'kvRead'>;
  return [await StackPlaces.open(stack, vault), stack];
}

describe('the places of a stack', () => {
  it('are where its services run, with their logins', async () => {
    const [found] = await places();
    expect(found.services()).toEqual(all.toSorted());
    // What belongs to other services is theirs.
    expect(await found.postgres()).toMatchObject({ container: 'id-postgres', excludeDatabases: ['own', 'own'] });
    expect(await found.mysql()).toMatchObject({ username: 'root', password: new Secret('r') });
    expect(await found.mongodb()).toMatchObject({
      connect: { tls: { ca: 'c' } },
      postgres: { databases: ['own'], excludeDatabases: [] },
    });
    expect(await found.rabbitmq()).toMatchObject({ username: 'ada', container: 'id-rabbitmq' });
    const { nodes } = await found.redis();
    expect(nodes.map(({ container, connect }) => [container, connect])).toEqual([
      ['id-redis-1', { host: '127.0.0.1', port: 1 }],
      ['id-redis-2', { host: '127.0.0.1', port: 1 }],
    ]);
    expect(await found.forgejo()).toMatchObject({
      application: 'gitea',
      database: 'own',
      volume: { volume: 'p_forgejo-data' },
    });
  });

  it('say what does not run and what Vault does not have', async () => {
    const [stopped] = await places({ running: ['vault', 'postgres'], stopped: ['forgejo'] });
    await expect(stopped.redis()).rejects.toMatchObject({ code: 'SERVICE_NOT_RUNNING' });
    expect((await stopped.forgejo()).container).toBe('id-forgejo');
    expect(await stopped.postgres()).toMatchObject({ excludeDatabases: [] });
    const [empty] = await places({ fields: {} });
    await expect(empty.mysql()).rejects.toMatchObject({ code: 'NO_CREDENTIALS' });
    await expect(empty.rabbitmq()).rejects.toMatchObject({ code: 'NO_CREDENTIALS' });
  });
});

describe('what a backup is made of', () => {
  it('is all that has a container, in the order of a restore, once for a cluster', async () => {
    const [found, stack] = await places();
    const names = await selectBackupServices(stack, found, undefined);
    expect(names).toEqual(['vault', 'configuration', 'postgres', 'mysql', 'mongodb', 'redis', 'rabbitmq', 'forgejo']);
    expect(await selectBackupServices(stack, found, ['redis-2', 'vault'])).toEqual(['vault', 'redis']);
    const backups = await databaseBackups(found, names);
    expect(backups.map(({ service }) => service)).toEqual(names.slice(2));
  });

  it('is nothing as long as one of them is stopped, and no name that nobody knows', async () => {
    const [found, stack] = await places({ running: ['vault', 'postgres'], stopped: ['redis-1'] });
    await expect(selectBackupServices(stack, found, [])).rejects.toMatchObject({ code: 'SERVICE_NOT_RUNNING' });
    await expect(selectBackupServices(stack, found, ['mail'])).rejects.toMatchObject({ code: 'UNKNOWN_SERVICE' });
  });
});
