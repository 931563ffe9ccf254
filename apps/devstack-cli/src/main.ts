import { ExitCode, exitCodeFor, isDevstackError, interrupted } from '@devstack-core/errors';
import { parse } from './cli.ts';
import { createContext } from './context.ts';
import { firstError, renderError } from './output/errors.ts';

/** The one process boundary: arguments, signals, output, exit code. */
export async function main(argv: readonly string[]): Promise<void> {
  const controller = new AbortController();
  let interactive = false;
  const onSignal = (signal: NodeJS.Signals): void => {
    if (interactive && signal === 'SIGINT') return;
    // The first asks to stop and give back what was taken; the second does not wait.
    if (controller.signal.aborted) process.exit(ExitCode.interrupted);
    controller.abort(interrupted('The command'));
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  // A reader that has seen enough (`devstack logs | head`) is no error.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    process.exit(error.code === 'EPIPE' ? ExitCode.done : ExitCode.failed);
  });
  // Progress that nobody reads any more (`devstack up 2>&1 >/dev/null | head`) must not stop the work.
  process.stderr.on('error', () => undefined);
  const color =
    (process.env['NO_COLOR'] ?? '') === '' &&
    process.env['TERM'] !== 'dumb' &&
    process.stderr.isTTY &&
    !argv.includes('--no-color');
  const wantsJson = argv.includes('--json');
  try {
    const parsed = await parse(argv);
    if (parsed.kind === 'text') {
      process.stdout.write(parsed.text);
      return;
    }
    interactive = parsed.interactive;
    const context = createContext({
      env: process.env,
      cwd: process.cwd(),
      signal: controller.signal,
      // With --json only what was asked for by name.
      progress: parsed.json && parsed.progress === 'auto' ? 'none' : parsed.progress,
      color,
      json: parsed.json,
    });
    try {
      const outcome = await parsed.run(context);
      context.progress.end();
      if (parsed.json && outcome.data !== undefined) process.stdout.write(`${JSON.stringify(outcome.data, null, 2)}\n`);
      else if (outcome.text !== undefined) process.stdout.write(outcome.text);
      process.exitCode = outcome.exitCode ?? ExitCode.done;
    } finally {
      context.progress.end();
    }
  } catch (caught) {
    const error = firstError(caught);
    process.stderr.write(renderError(error, { json: wantsJson, color }));
    process.exitCode =
      controller.signal.aborted && !isDevstackError(error, 'USAGE') ? ExitCode.interrupted : exitCodeFor(error);
  } finally {
    process.off('SIGINT', onSignal);
    process.off('SIGTERM', onSignal);
  }
}
