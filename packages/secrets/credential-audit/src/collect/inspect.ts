import type { ContainerDetails } from '@devstack-core/docker-engine';
import type { Surface } from '../surfaces.ts';
import type { CollectContext, ContainerCollector } from './context.ts';
import { strings } from './strings.ts';

const own: readonly Surface[] = ['environment', 'arguments', 'labels', 'health-log', 'container-config'];

/** Every field of what `docker inspect` shows of a container, the health log included. */
export const inspectCollector: ContainerCollector = {
  surfaces: own,
  collect: async (context: CollectContext, container: ContainerDetails): Promise<void> => {
    for (const { path, text } of strings(container.raw)) {
      const surface = surfaceOf(path);
      if (!context.wants(surface)) continue;
      const location = context.locate(container, surface);
      context.ledger.text({ surface, subject: container.name, at: nameOf(path, text), key: path, location }, text);
    }
    for (const surface of own) if (context.wants(surface)) context.ledger.checked(surface, container.name);
  },
};

function surfaceOf(path: string): Surface {
  if (path.startsWith('Config.Env')) return 'environment';
  if (path.startsWith('Config.Labels')) return 'labels';
  if (path.startsWith('State.Health')) return 'health-log';
  return /^(Args|Path|Config\.(Cmd|Entrypoint))\b/.test(path) ? 'arguments' : 'container-config';
}

// The name of a variable says more than its place in the list.
function nameOf(path: string, text: string): string {
  const name = path.startsWith('Config.Env[') ? /^[A-Za-z_]\w*(?==)/.exec(text)?.[0] : undefined;
  return name === undefined ? path : `${path} (${name})`;
}
