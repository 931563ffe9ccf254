import { DevstackError } from '@devstack-core/errors';
import { connectRedis } from '@devstack-core/database-connections';
import { redisNatMap, requireEndpoint } from '@devstack-core/stack-lifecycle';
import type { Context } from '../context.ts';
import { serviceCredentials } from './credentials.ts';
import { linePrompt, splitWords } from './line-prompt.ts';

/** A prompt to the whole cluster: each command goes to the node that has its key. */
export async function redisShell(service: string, context: Context): Promise<number> {
  const stack = await context.stack();
  const { username, password } = await serviceCredentials(stack, service);
  await using connection = await connectRedis({
    ...requireEndpoint(stack, service),
    username,
    password,
    cluster: true,
    natMap: redisNatMap(stack),
  });
  return await linePrompt({
    prompt: `${service}> `,
    greeting: `Redis cluster as ${username}; exit leaves.`,
    signal: context.signal,
    answer: async (line) => {
      const [command, ...words] = splitWords(line);
      if (command === undefined) throw new DevstackError({ code: 'USAGE', message: 'Type a Redis command.' });
      return formatReply(await connection.command(command, ...words));
    },
  });
}

/** A reply as redis-cli shows it: quoted strings, numbered lists, `(nil)`, `(integer) 1`. */
export function formatReply(reply: unknown, indent = ''): string {
  if (reply === null || reply === undefined) return '(nil)';
  if (typeof reply === 'number' || typeof reply === 'bigint') return `(integer) ${String(reply)}`;
  if (Array.isArray(reply)) {
    if (reply.length === 0) return '(empty array)';
    const width = String(reply.length).length;
    return reply
      .map((item, index) => {
        const label = `${String(index + 1).padStart(width)}) `;
        return `${index === 0 ? '' : indent}${label}${formatReply(item, indent + ' '.repeat(label.length))}`;
      })
      .join('\n');
  }
  if (typeof reply === 'string') return reply.includes('\n') ? reply : JSON.stringify(reply);
  return JSON.stringify(reply);
}
