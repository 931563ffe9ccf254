import { styleText } from 'node:util';
import type { OnEvent, StackEvent } from '@devstack-core/stack-lifecycle';

/** Renders events as they happen. */
export interface Progress {
  readonly onEvent: OnEvent;
  /** Clears what is only of the moment, before something final is printed. */
  end(): void;
}

interface ProgressOptions {
  /** `auto` (redraws on a terminal, plain lines elsewhere), `plain`, `ndjson` or `none`. */
  readonly mode: string;
  readonly color: boolean;
  readonly stream: NodeJS.WriteStream;
}

/** Progress goes to stderr: stdout is data. */
export function createProgress(options: ProgressOptions): Progress {
  switch (options.mode) {
    case 'none':
      return { onEvent: () => undefined, end: () => undefined };
    case 'ndjson':
      return { onEvent: (event) => options.stream.write(`${JSON.stringify(event)}\n`), end: () => undefined };
    case 'plain':
      return plain(options);
    default:
      return options.stream.isTTY ? terminal(options) : plain(options);
  }
}

// Without a terminal, "still waiting" is said every five seconds, so that silence never looks like a hang.
const plainWaitMs = 5_000;

function plain(options: ProgressOptions): Progress {
  const print = (text: string): void => {
    options.stream.write(`${text}\n`);
  };
  let said = Number.NEGATIVE_INFINITY;
  return {
    onEvent: (event) => {
      if (event.type === 'waiting') {
        if (performance.now() - said < plainWaitMs) return;
        said = performance.now();
      }
      const line = lineFor(event, options.color);
      if (line !== undefined) print(line);
    },
    end: () => undefined,
  };
}

function terminal(options: ProgressOptions): Progress {
  let live = '';
  const clear = (): void => {
    if (live !== '') options.stream.write('\r\u001B[2K');
    live = '';
  };
  return {
    onEvent: (event) => {
      const line = lineFor(event, options.color);
      if (line === undefined) return;
      clear();
      if (event.type === 'progress' || event.type === 'waiting' || event.type === 'step-started') {
        live = fit(line, options.stream.columns);
        options.stream.write(live);
      } else {
        options.stream.write(`${line}\n`);
      }
    },
    end: clear,
  };
}

function lineFor(event: StackEvent, color: boolean): string | undefined {
  const paint = (format: Parameters<typeof styleText>[0], text: string): string =>
    color ? styleText(format, text, { validateStream: false }) : text;
  switch (event.type) {
    case 'plan': {
      const work = event.services.filter((service) => service.action !== 'keep');
      const resumed = event.resumedAfter === null ? '' : ` (the last run stopped at ${event.resumedAfter})`;
      const keep = event.services.length - work.length;
      const start = work.map((service) => service.service).join(', ');
      return `${paint('bold', `Profile ${event.profile}`)}: ${work.length === 0 ? `all ${String(keep)} services are running` : `start ${start}${keep > 0 ? `; keep ${String(keep)}` : ''}`}${resumed}`;
    }
    case 'step-started':
      return `${paint('dim', '…')} ${event.title}`;
    case 'step-done':
      return `${paint('green', '✓')} ${event.title.padEnd(18)} ${event.detail} ${paint('dim', seconds(event.durationMs))}`;
    case 'progress':
      return `${paint('dim', '  ')}${event.text.trimEnd()}`;
    case 'waiting':
      return `${paint('dim', '…')} waiting for ${event.for.join(', ')} ${paint('dim', `${seconds(event.elapsedMs)} of ${seconds(event.deadlineMs)}`)}`;
    case 'service-healthy':
      return `${paint('green', '●')} ${event.service.padEnd(18)} healthy ${paint('dim', seconds(event.elapsedMs))}`;
    case 'warning':
      return `${paint('yellow', 'warning')} ${event.text}${event.hint === '' ? '' : ` ${event.hint}`}`;
  }
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

function fit(text: string, columns: number): string {
  // Colour codes take no room on the line.
  const plainLength = text.replaceAll(/\u001B\[\d+m/g, '').length;
  return plainLength < columns ? text : `${text.slice(0, columns - 2)}…`;
}
