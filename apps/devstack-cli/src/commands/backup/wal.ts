import { DevstackError } from '@devstack-core/errors';
import { bytesText, changeWalArchiving, walArchiving } from '@devstack-core/stack-backup';
import { stringArgument, type Arguments, type Outcome } from '../../command.ts';
import type { Context } from '../../context.ts';

/** Archiving of PostgreSQL's write-ahead log: on, off, or how it is doing. */
export async function run(args: Arguments, context: Context): Promise<Outcome> {
  const action = stringArgument(args, 'action') ?? 'status';
  if (action !== 'on' && action !== 'off' && action !== 'status')
    throw new DevstackError({
      code: 'USAGE',
      message: `${action} is nothing that backup wal does.`,
      hint: 'Say on, off or status.',
      details: { usage: true },
    });
  const stack = await context.stack();
  const state =
    action === 'status'
      ? await walArchiving(stack)
      : await changeWalArchiving(stack, action === 'on', { signal: context.signal });
  return { data: { schema: 'devstack/backup-wal/1', ...state }, text: `${lines(action, state).join('\n')}\n` };
}

type State = Awaited<ReturnType<typeof walArchiving>>;

function lines(action: 'on' | 'off' | 'status', state: State): readonly string[] {
  const { mode, files, bytes, failures, failingSince, lastArchivedAt, summarizes } = state;
  const modes = {
    on: 'PostgreSQL archives its write-ahead log.',
    off: 'PostgreSQL does not archive its write-ahead log.',
    unavailable:
      'PostgreSQL cannot archive its write-ahead log: it was started without archive_mode (configs/postgres/postgresql.conf, then devstack restart postgres).',
  };
  return [
    modes[mode],
    ...(summarizes ? [] : ['It does not summarize it either (summarize_wal): every physical backup is a full one.']),
    ...(mode === 'on'
      ? [`Last segment archived: ${lastArchivedAt ?? 'none yet'}; failures so far: ${String(failures)}.`]
      : []),
    ...(failingSince === undefined
      ? []
      : [`FAILING since ${failingSince}: look at devstack logs postgres, and at the free space.`]),
    ...(files === 0 ? [] : [`${String(files)} files (${bytesText(bytes)}) wait for the next physical backup.`]),
    ...(mode === 'off' && files > 0 ? ['They go along once archiving is on again.'] : []),
    ...(action === 'on'
      ? [
          'It is kept on the volume until a physical backup takes it along: without them the volume fills.',
          'Next: devstack backup create --physical; what comes after it can be gone back to.',
        ]
      : []),
  ];
}
