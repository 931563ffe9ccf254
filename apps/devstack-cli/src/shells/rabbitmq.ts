import { DevstackError } from '@devstack-core/errors';
import type { Context } from '../context.ts';
import { linePrompt, splitWords } from './line-prompt.ts';

/** A prompt of rabbitmqctl commands, run in the container, where the node's cookie already is. */
export async function rabbitmqShell(service: string, context: Context): Promise<number> {
  const stack = await context.stack();
  const engine = await stack.engine();
  const container = (await engine.listContainers({ project: stack.project.id })).find(
    (candidate) => candidate.service === service,
  );
  if (container === undefined)
    throw new DevstackError({
      code: 'STACK_NOT_RUNNING',
      message: `${service} is not running.`,
      hint: `Run: devstack up ${service}`,
    });
  return await linePrompt({
    prompt: `${service}> `,
    greeting: 'rabbitmqctl commands, e.g. status, list_queues, list_users; help lists them, exit leaves.',
    signal: context.signal,
    answer: async (line) => {
      const result = await engine.exec(container.id, ['rabbitmqctl', '--quiet', ...splitWords(line)], {
        signal: context.signal,
      });
      if (result.exitCode !== 0)
        throw new DevstackError({ code: 'COMMAND_REFUSED', message: (result.stderr || result.stdout).trim() });
      return result.stdout.trimEnd();
    },
  });
}
