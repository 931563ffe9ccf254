import { DevstackError, ExitCode } from '@devstack-core/errors';
import { listArgument, stringArgument, type Arguments, type Outcome } from '../command.ts';
import type { Context } from '../context.ts';

export async function run(args: Arguments, context: Context): Promise<Outcome> {
  const stack = await context.stack();
  const tail = Number(stringArgument(args, 'tail') ?? '100');
  if (!Number.isInteger(tail) || tail < 0)
    throw new DevstackError({
      code: 'USAGE',
      message: `--tail is ${JSON.stringify(args['tail'])}; it takes a number of lines.`,
    });
  const names = listArgument(args, 'services').map((name) => stack.model.service(name).name);
  const engine = await stack.engine();
  const all = await engine.listContainers({ project: stack.project.id, all: true });
  const containers = all.filter((container) => names.length === 0 || names.includes(container.service ?? ''));
  if (containers.length === 0)
    throw new DevstackError({
      code: 'STACK_NOT_RUNNING',
      message: `${names.length === 0 ? 'The stack' : names.join(', ')} has no container, so there is no log.`,
      hint: 'Run: devstack up',
    });
  const width = Math.max(...containers.map((container) => (container.service ?? container.name).length));
  const print = (name: string, text: string): void => {
    context.write(containers.length === 1 ? `${text}\n` : `${name.padEnd(width)} | ${text}\n`);
  };
  const follow = args['follow'] === true;
  await Promise.all(
    containers.map(async (container) => {
      const name = container.service ?? container.name;
      if (!follow) {
        for (const line of (await engine.logs(container.id, { tail })).trimEnd().split('\n')) print(name, line);
        return;
      }
      for await (const line of engine.followLogs(container.id, { tail, signal: context.signal }))
        print(name, line.text.trimEnd());
    }),
  );
  // To follow ends with an interrupt, or with the containers.
  return context.signal.aborted ? { exitCode: ExitCode.interrupted } : {};
}
