import { connectMongo } from '@devstack-core/database-connections';
import { DevstackError } from '@devstack-core/errors';
import { requireEndpoint } from '@devstack-core/stack-lifecycle';
import type { Context } from '../context.ts';
import { serviceCredentials } from './credentials.ts';
import { linePrompt } from './line-prompt.ts';

/** A prompt that takes database commands as JSON, one a line, e.g. `{"find": "notes"}`: the protocol's own language. */
export async function mongoShell(service: string, context: Context): Promise<number> {
  const stack = await context.stack();
  const { username, password, database } = await serviceCredentials(stack, service);
  await using connection = await connectMongo({
    ...requireEndpoint(stack, service),
    username,
    password,
    ...(database === undefined ? {} : { database }),
  });
  return await linePrompt({
    prompt: `${service}> `,
    greeting: `MongoDB protocol as ${username}, database ${database ?? 'test'}. A command is a JSON document, e.g. {"ping": 1} or {"find": "notes"}; exit leaves.`,
    signal: context.signal,
    answer: async (line) => JSON.stringify(await connection.db(database).command(parseCommand(line)), null, 2),
  });
}

function parseCommand(line: string): Record<string, unknown> {
  try {
    const parsed: unknown = JSON.parse(line);
    if (typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed))
      return parsed as Record<string, unknown>;
  } catch {
    // The message below says what is expected; the parser's own words would not.
  }
  throw new DevstackError({
    code: 'USAGE',
    message: 'That is not a JSON document. Example: {"find": "notes", "limit": 5}',
  });
}
