import { DevstackError, ExitCode } from '@devstack-core/errors';
import { certificates, selectServices, watchCertificates } from '@devstack-core/stack-lifecycle';
import { requireTls } from '../../audits/require-running.ts';
import { listArgument, stringArgument, type Arguments, type Outcome } from '../../command.ts';
import type { Context } from '../../context.ts';
import { writeMetrics } from './status.ts';

export async function run(args: Arguments, context: Context): Promise<Outcome> {
  const stack = await context.stack();
  const seconds = Number(stringArgument(args, 'interval') ?? '3600');
  if (!Number.isInteger(seconds) || seconds < 1 || seconds > 86_400) {
    throw new DevstackError({
      code: 'USAGE',
      message: `--interval is ${JSON.stringify(args['interval'])}.`,
      hint: 'It is a whole number of seconds, at most a day. For an hour: --interval 3600',
      details: { usage: true },
    });
  }
  const named = listArgument(args, 'services');
  const metrics = stringArgument(args, 'metrics');
  await requireTls(stack, named);
  await watchCertificates(stack, {
    services: named.length === 0 ? undefined : selectServices(stack.model, { services: named }),
    intervalMs: seconds * 1000,
    onEvent: context.onEvent,
    signal: context.signal,
    onLook: (renewed, nextAt) => {
      const at = new Date().toISOString().slice(0, 19);
      for (const one of renewed)
        context.write(`${at}Z ${one.service}: ${one.outcome}${one.outcome === 'failed' ? ` ${one.reason}` : ''}\n`);
      context.write(`${at}Z next look ${nextAt.toISOString().slice(0, 19)}Z\n`);
      // A look must not end the watch.
      if (metrics !== undefined)
        void certificates(stack)
          .then((report) => writeMetrics(report, metrics))
          .catch((error: unknown) => {
            context.write(`${at}Z metrics were not written: ${error instanceof Error ? error.message : 'unknown'}\n`);
          });
    },
  });
  // It ends with an interrupt alone.
  return { exitCode: ExitCode.interrupted };
}
