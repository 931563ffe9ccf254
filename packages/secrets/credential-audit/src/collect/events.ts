import type { ContainerDetails } from '@devstack-core/docker-engine';
import { cannotCheck, throwIfAborted, type CollectContext } from './context.ts';

/**
 * What the engine still tells of the containers, up to now: `docker exec` with its arguments, labels. Gives the ids of the programs that
 * were started in each container.
 */
export async function collectEvents(
  context: CollectContext,
  containers: readonly ContainerDetails[],
): Promise<ReadonlyMap<string, ReadonlySet<string>>> {
  const { engine, ledger, signal } = context;
  const execs = new Map<string, Set<string>>();
  const byId = new Map(containers.map((container) => [container.id, container]));
  if (containers.length === 0) return execs;
  try {
    const { systemTime } = await engine.info();
    const now = Date.parse(systemTime);
    const since = Math.min(...containers.map(({ createdAt }) => Date.parse(createdAt)));
    // Whole seconds around both, as clocks are read at different moments.
    const span = { since: Math.floor(since / 1000), until: Math.ceil((Number.isNaN(now) ? Date.now() : now) / 1000) };
    const filters = { type: ['container'], container: [...byId.keys()] };
    for await (const event of engine.events({ ...span, filters, ...(signal === undefined ? {} : { signal }) })) {
      const container = byId.get(event.id);
      if (container === undefined) continue;
      const kind = event.action.split(':')[0] ?? '';
      const location = context.locate(container, 'events');
      const place = { surface: 'events', subject: container.name, location } as const;
      if (context.wants('events')) {
        // exec_create and exec_start tell the same, and every event repeats the labels: one finding for each.
        ledger.text({ ...place, at: `event ${kind}`, key: kind.replace(/^exec_.*/, 'exec') }, event.action);
        for (const [name, value] of Object.entries(event.attributes))
          ledger.text({ ...place, at: `attribute ${name} of event ${kind}`, key: name }, value);
      }
      const exec = event.attributes['execID'];
      if (exec !== undefined) execs.set(event.id, (execs.get(event.id) ?? new Set()).add(exec));
    }
    throwIfAborted(signal);
    if (context.wants('events')) for (const { name } of containers) ledger.checked('events', name);
  } catch (error) {
    throwIfAborted(signal);
    if (context.wants('events')) cannotCheck(context, 'events', 'engine', error);
  }
  return execs;
}
