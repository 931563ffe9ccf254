import type { ContainerDetails } from '@devstack-core/docker-engine';
import type { NeedleStream } from '../searcher.ts';
import { throwIfAborted, type CollectContext, type ContainerCollector } from './context.ts';

/** The log that the engine keeps of a container, of any length, in bounded memory. Output and errors are two texts. */
export const logsCollector: ContainerCollector = {
  surfaces: ['logs'],
  collect: async (context: CollectContext, container: ContainerDetails): Promise<void> => {
    const { engine, ledger, signal } = context;
    // Nothing is kept, so nothing can be read.
    if (logDriver(container.raw) !== 'none') {
      const streams = new Map<string, NeedleStream>();
      const location = context.locate(container, 'logs');
      for await (const { stream, bytes } of engine.logBytes(container.id, signal === undefined ? {} : { signal })) {
        let text = streams.get(stream);
        if (text === undefined) {
          text = ledger.stream({ surface: 'logs', subject: container.name, at: stream, location });
          streams.set(stream, text);
        }
        text.write(bytes);
      }
      throwIfAborted(signal);
      for (const stream of streams.values()) stream.end();
    }
    ledger.checked('logs', container.name);
  },
};

function logDriver(raw: unknown): string | undefined {
  const { HostConfig } = raw as { readonly HostConfig?: { readonly LogConfig?: { readonly Type?: string } } };
  return HostConfig?.LogConfig?.Type;
}
