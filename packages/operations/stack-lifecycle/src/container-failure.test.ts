import { describe, expect, test } from 'vitest';
import type { ContainerDetails, ContainerSummary } from '@devstack-core/docker-engine';
import { endFailing, hasFailed } from './container-failure.ts';

describe('a container that ended with an error by itself', () => {
  test.each([
    ['exited', 'Exited (1) 5 seconds ago', true],
    ['exited', 'Exited (2) 2 hours ago', true],
    ['restarting', 'Restarting (1) 3 seconds ago', true],
    ['exited', 'Exited (0) 5 seconds ago', false],
    ['exited', 'Exited (137) 5 seconds ago', false],
    ['exited', 'Exited (143) 5 seconds ago', false],
    ['running', 'Up 3 minutes (unhealthy)', false],
    ['created', 'Created', false],
  ])('%s, %s: %s', (state, status, expected) => {
    expect(hasFailed({ state, status })).toBe(expected);
  });
});

test('what Docker keeps starting in vain is stopped and named; what serves, or ended by itself, is not touched', async () => {
  const restarts: Readonly<Record<string, number>> = { looping: 2, starting: 0, recovered: 1 };
  const summary = (service: string, state: string, status: string): ContainerSummary =>
    ({ id: service, name: service, service, state, status }) as ContainerSummary;
  const stopped: string[] = [];
  const engine = {
    inspectContainer: (id: string) => Promise.resolve({ restartCount: restarts[id] ?? 0 } as ContainerDetails),
    stopContainer: (id: string) => {
      stopped.push(id);
      return Promise.resolve();
    },
  };
  const failed = await endFailing(engine, [
    summary('looping', 'running', 'Up Less than a second (health: starting)'),
    summary('waiting', 'restarting', 'Restarting (1) 3 seconds ago'),
    summary('ended', 'exited', 'Exited (1) 2 minutes ago'),
    summary('starting', 'running', 'Up 2 seconds (health: starting)'),
    summary('recovered', 'running', 'Up 2 hours (healthy)'),
    summary('down', 'exited', 'Exited (0) 2 minutes ago'),
  ]);
  expect(failed).toEqual(['looping', 'waiting', 'ended']);
  expect(stopped).toEqual(['looping', 'waiting']);
});
