import type { ContainerDetails } from '@devstack-core/docker-engine';
import { isDevstackError } from '@devstack-core/errors';
import { cannotCheck, type CollectContext, type ContainerCollector } from './context.ts';
import { strings } from './strings.ts';

/** The programs that were started in a container: those that run, and those that events told of and the engine still knows. */
export function execCollector(fromEvents: ReadonlyMap<string, ReadonlySet<string>>): ContainerCollector {
  return {
    surfaces: ['exec'],
    collect: async (context: CollectContext, container: ContainerDetails): Promise<void> => {
      const { engine, ledger } = context;
      const ids = new Set([...execIds(container.raw), ...(fromEvents.get(container.id) ?? [])]);
      for (const id of ids) {
        try {
          const { raw } = await engine.inspectExec(id);
          const location = context.locate(container, 'exec');
          for (const { path, text } of strings(raw))
            ledger.text({ surface: 'exec', subject: container.name, at: `exec ${path}`, key: path, location }, text);
        } catch (error) {
          // The engine forgets a program some minutes after its end: then nobody can read its arguments any more.
          if (!isDevstackError(error, 'CONTAINER_NOT_FOUND')) cannotCheck(context, 'exec', container.name, error);
        }
      }
      ledger.checked('exec', container.name);
    },
  };
}

function execIds(raw: unknown): readonly string[] {
  const ids: unknown = typeof raw === 'object' && raw !== null && 'ExecIDs' in raw ? raw.ExecIDs : undefined;
  return Array.isArray(ids) ? ids.map(String) : [];
}
