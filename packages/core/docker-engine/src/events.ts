import type { Connection } from './connection.ts';
import { until } from './logs.ts';
import { asReadable } from './streams.ts';
import type { DockerEvent } from './types.ts';

export interface EventsOptions {
  /** As the engine takes them, e.g. `{type: ['container'], label: ['com.docker.compose.project=x']}`. */
  readonly filters?: Readonly<Record<string, readonly string[]>>;
  /** Start with what happened since; seconds since 1970 or a date. */
  readonly since?: Date | number;
  /** End with what happened until then; without it, what happens from now on follows. By the engine's clock. */
  readonly until?: Date | number;
  readonly signal?: AbortSignal;
}

/**
 * What happens on the engine from now on, until the reader stops or the signal aborts (which is no error). Of the past, an engine keeps
 * the last few hundred events.
 */
export async function* events(
  connection: Connection,
  options: EventsOptions,
): AsyncGenerator<DockerEvent, void, undefined> {
  const { signal } = options;
  if (signal?.aborted === true) return;
  const since = seconds(options.since);
  const end = seconds(options.until);
  const request = {
    filters: JSON.stringify(options.filters ?? {}),
    ...(since === undefined ? {} : { since }),
    ...(end === undefined ? {} : { until: end }),
  };
  const stream = asReadable(
    await connection.ask('engine', 'events', () => connection.docker.getEvents(request), signal),
  );
  let rest = '';
  const decoder = new TextDecoder();
  for await (const chunk of until(stream, signal)) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) if (line !== '') yield toEvent(JSON.parse(line) as RawEvent);
  }
}

function seconds(moment: Date | number | undefined): number | undefined {
  return moment instanceof Date ? moment.getTime() / 1000 : moment;
}

interface RawEvent {
  readonly Type: string;
  readonly Action: string;
  readonly Actor?: { readonly ID?: string; readonly Attributes?: Readonly<Record<string, string>> };
  readonly time: number;
  readonly timeNano?: number;
}

function toEvent(raw: RawEvent): DockerEvent {
  const attributes = raw.Actor?.Attributes ?? {};
  return {
    type: raw.Type,
    action: raw.Action,
    id: raw.Actor?.ID ?? '',
    name: attributes['name'] ?? '',
    attributes,
    timeMs: raw.timeNano === undefined ? raw.time * 1000 : Math.floor(raw.timeNano / 1e6),
  };
}
