import type { ServiceModel } from '@devstack-core/compose-project';
import type { ContainerSummary } from '@devstack-core/docker-engine';
import type { PlannedService } from './events.ts';
import { imageStates } from './images.ts';
import type { Stack } from './stack.ts';

const configHashLabel = 'com.docker.compose.config-hash';

/**
 * What has to be done to each service: compose's own configuration hash and the image's id decide, so a container that is right is never
 * touched. Nothing is changed.
 */
export async function planServices(
  stack: Stack,
  services: readonly ServiceModel[],
  containers: readonly ContainerSummary[],
  configHashes: Promise<ReadonlyMap<string, string>> = stack.compose.configHashes(),
): Promise<readonly PlannedService[]> {
  const [hashes, images] = await Promise.all([configHashes, imageStates(stack, services)]);
  return services.map((service, index): PlannedService => {
    const container = containers.find((candidate) => candidate.service === service.name);
    if (container === undefined || container.state === 'created')
      return { service: service.name, action: 'create', reason: 'not there yet' };
    if (container.labels[configHashLabel] !== hashes.get(service.name))
      return { service: service.name, action: 'recreate', reason: 'its configuration changed' };
    if (container.imageId !== images[index]?.id)
      return { service: service.name, action: 'recreate', reason: 'its image changed' };
    if (container.state === 'running') return { service: service.name, action: 'keep', reason: container.status };
    return { service: service.name, action: 'start', reason: container.status };
  });
}
