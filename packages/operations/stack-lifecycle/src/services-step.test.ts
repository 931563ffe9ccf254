import type { ServiceModel } from '@devstack-core/compose-project';
import type { ContainerSummary } from '@devstack-core/docker-engine';
import { DevstackError } from '@devstack-core/errors';
import { expect, test } from 'vitest';
import { startServices } from './services-step.ts';
import type { Stack } from './stack.ts';

const services = [{ name: 'web' } as ServiceModel];
const planned = [{ service: 'web', action: 'create', reason: 'not there yet' }] as const;
const old = { id: 'old', service: 'web', state: 'created' } as ContainerSummary;
const half = { id: 'half', service: 'web', state: 'created' } as ContainerSummary;
const ended = { id: 'ended', service: 'web', name: 'x-web-1', state: 'exited' } as ContainerSummary;

function failing(error: Error, now: readonly ContainerSummary[]): { stack: Stack; removed: string[] } {
  const removed: string[] = [];
  const engine = {
    listContainers: () => Promise.resolve(now),
    removeContainer: (id: string) => Promise.resolve(void removed.push(id)),
    inspectContainer: () => Promise.resolve({ state: { exitCode: 7, oomKilled: true }, restartCount: 0 }),
    logs: () => Promise.resolve('no memory\n'),
  };
  const stack = {
    project: { id: 'x' },
    engine: () => Promise.resolve(engine),
    compose: { up: () => Promise.reject(error) },
  };
  return { stack: stack as unknown as Stack, removed };
}

const options = { planned, before: [old], onEvent: (): void => undefined };

test('a start that fails removes what it half made, and nothing older', async () => {
  const error = new DevstackError({ code: 'PORT_IN_USE', message: 'a port was taken in the meantime' });
  const { stack, removed } = failing(error, [old, half]);
  await expect(startServices(stack, services, options)).rejects.toBe(error);
  expect(removed).toEqual(['half']);
});

test('a start that fails as a container ended is told by its last words', async () => {
  const { stack } = failing(new Error('exit 1'), [ended]);
  await expect(startServices(stack, services, options)).rejects.toMatchObject({
    code: 'NOT_HEALTHY',
    message: 'web ended with exit code 7 (out of memory). Its last lines:\nno memory',
  });
});

test('an interrupted start stays interrupted', async () => {
  const { stack, removed } = failing(new DevstackError({ code: 'INTERRUPTED', message: 'Ctrl-C' }), [half, ended]);
  await expect(startServices(stack, services, options)).rejects.toMatchObject({ code: 'INTERRUPTED' });
  expect(removed).toEqual(['half']);
});
