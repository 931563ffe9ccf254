import { isAbsolute, relative, sep } from 'node:path';
import type { FindingLocation } from '@devstack-core/audit-report';
import { plainName } from './capabilities.ts';
import type { DeclaredServices } from './verdicts.ts';

type Service = DeclaredServices['services'][number];

/** Where something of a service is written, and so mended; undefined where no compose file is known. */
export interface Locator {
  field(service: Service | undefined, field: string): FindingLocation | undefined;
  /** The item of `cap_add`, otherwise the nearest thing that is written. */
  capability(service: Service | undefined, name: string): FindingLocation | undefined;
}

/** Paths below `root` become relative to it, with `/`. */
export function locator(compose: DeclaredServices | undefined, root: string | undefined): Locator {
  const at = (service: Service | undefined, path: readonly (string | number)[]): FindingLocation | undefined => {
    if (compose === undefined || service === undefined) return undefined;
    const { file, line } = compose.locate(['services', service.name, ...path]);
    const inside = root === undefined ? '..' : relative(root, file);
    return { file: inside.startsWith('..') || isAbsolute(inside) ? file : inside.split(sep).join('/'), line };
  };
  return {
    field: (service, field) => at(service, [field]),
    capability: (service, name) => {
      const added = (service?.capabilitiesAdded ?? []).map(plainName);
      const index = added.includes(name) ? added.indexOf(name) : added.indexOf('ALL');
      return at(service, index < 0 ? ['cap_add'] : ['cap_add', index]);
    },
  };
}
