import { DevstackError } from '@devstack-core/errors';
import type { RecoveryTarget } from '@devstack-core/stack-backup';
import { stringArgument, type Arguments } from '../command.ts';

/** `--to-time` and `--to-point`: where a restore is to end. Throws USAGE. */
export function momentOf(args: Arguments): RecoveryTarget | undefined {
  const [time, name] = [stringArgument(args, 'to-time'), stringArgument(args, 'to-point')];
  if (time !== undefined && name !== undefined)
    throw usage('--to-time and --to-point exclude each other.', 'Give one of them.');
  if (name === '') throw usage('--to-point names nothing.', 'Give the name that pg_create_restore_point was given.');
  if (name !== undefined) return { name };
  return time === undefined ? undefined : { time: timeOf(time) };
}

// Date reads a good deal more than this, and not the same everywhere.
const isoTime = /^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:?\d{2})?$/;

function timeOf(text: string): Date {
  const time = new Date(isoTime.test(text) ? text.replace(' ', 'T') : NaN);
  if (!Number.isNaN(time.getTime())) return time;
  throw usage(
    `--to-time is ${JSON.stringify(text)}.`,
    'Write an ISO time, e.g. 2026-11-21T10:30:00Z; without a zone it is that of this machine.',
  );
}

/** For people: `to 2026-11-21T10:30:00.000Z`. */
export function momentText(target: RecoveryTarget | undefined): string {
  if (target === undefined) return '';
  return 'time' in target ? ` as it was at ${target.time.toISOString()}` : ` as it was at the point "${target.name}"`;
}

function usage(message: string, hint: string): DevstackError {
  return new DevstackError({ code: 'USAGE', message, hint, details: { usage: true } });
}
