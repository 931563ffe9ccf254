import type { ContainerDetails, LogBytes } from '@devstack-core/docker-engine';
import type { NeedleStream } from '../searcher.ts';
import { throwIfAborted, type CollectContext, type ContainerCollector } from './context.ts';
import { readJsonLog } from './json-log.ts';

/** The log that the engine keeps of a container, of any length, in bounded memory. Output and errors are two texts. */
export const logsCollector: ContainerCollector = {
  surfaces: ['logs'],
  collect: async (context: CollectContext, container: ContainerDetails): Promise<void> => {
    const { engine, ledger, signal } = context;
    const { driver, path } = logOf(container.raw);
    // Nothing is kept, so nothing can be read.
    if (driver !== 'none') {
      const isHere = context.isLocal && driver === 'json-file' && path !== '';
      const isDone = isHere && (await read(context, container, readJsonLog(path)).catch(() => false));
      throwIfAborted(signal);
      // What was searched already is searched again: a place is told once all the same.
      if (!isDone)
        await read(context, container, engine.logBytes(container.id, signal === undefined ? {} : { signal }));
    }
    throwIfAborted(signal);
    ledger.checked('logs', container.name);
  },
};

async function read(
  { ledger, locate, signal }: CollectContext,
  container: ContainerDetails,
  log: AsyncIterable<LogBytes>,
): Promise<true> {
  const streams = new Map<string, NeedleStream>();
  const location = locate(container, 'logs');
  for await (const { stream, bytes } of log) {
    throwIfAborted(signal);
    let text = streams.get(stream);
    if (text === undefined) {
      text = ledger.stream({ surface: 'logs', subject: container.name, at: stream, location });
      streams.set(stream, text);
    }
    text.write(bytes);
  }
  for (const stream of streams.values()) stream.end();
  return true;
}

function logOf(raw: unknown): { readonly driver: string | undefined; readonly path: string } {
  const { HostConfig, LogPath } = raw as {
    readonly HostConfig?: { readonly LogConfig?: { readonly Type?: string } };
    readonly LogPath?: string;
  };
  return { driver: HostConfig?.LogConfig?.Type, path: LogPath ?? '' };
}
