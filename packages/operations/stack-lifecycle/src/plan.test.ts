import { resolve } from 'node:path';
import type { ContainerSummary } from '@devstack-core/docker-engine';
import { loadComposeProject } from '@devstack-core/compose-project';
import { expect, test } from 'vitest';
import { planServices } from './plan.ts';
import type { Stack } from './stack.ts';

const model = await loadComposeProject({
  files: [resolve(import.meta.dirname, '../../../../infrastructure/compose/compose.yaml')],
  env: {},
});
const services = [model.service('postgres')];
// The parts of a stack that planning reads: no Docker, no compose.
const stack = {
  model,
  compose: { configHashes: () => Promise.resolve(new Map([['postgres', 'hash']])) },
  engine: () => Promise.resolve({ inspectImage: () => Promise.resolve({ id: 'image', labels: {}, sizeBytes: 1 }) }),
} as unknown as Stack;

function container(change: Partial<ContainerSummary>, hash = 'hash'): ContainerSummary {
  return {
    id: 'id',
    name: 'x-postgres-1',
    image: 'devstack/postgres:local',
    imageId: 'image',
    state: 'running',
    status: 'Up 3 minutes (healthy)',
    health: 'healthy',
    labels: { 'com.docker.compose.config-hash': hash },
    service: 'postgres',
    createdAt: '2026-01-01T00:00:00Z',
    ports: [],
    networks: {},
    ...change,
  };
}

test.each([
  ['there is none', [], 'create', 'not there yet'],
  ['it was never started', [container({ state: 'created' })], 'create', 'not there yet'],
  ['its configuration is another', [container({}, 'other')], 'recreate', 'its configuration changed'],
  ['its image is another', [container({ imageId: 'older' })], 'recreate', 'its image changed'],
  ['it is stopped', [container({ state: 'exited', status: 'Exited (0)' })], 'start', 'Exited (0)'],
  ['it is right', [container({})], 'keep', 'Up 3 minutes (healthy)'],
])('a container: %s', async (_when, containers, action, reason) => {
  expect(await planServices(stack, services, containers)).toEqual([{ service: 'postgres', action, reason }]);
});
