import { createInterface } from 'node:readline/promises';
import { DevstackError } from '@devstack-core/errors';

/**
 * Reads lines and answers each: a prompt on a terminal, plain answers for piped input.
 * Returns 0, or 1 when piped input met an error (a script should notice; a person just sees it).
 */
export async function linePrompt(options: {
  readonly prompt: string;
  readonly greeting: string;
  readonly signal: AbortSignal;
  readonly answer: (line: string) => Promise<string>;
}): Promise<number> {
  const terminal = process.stdin.isTTY;
  const readline = createInterface({
    input: process.stdin,
    ...(terminal ? { output: process.stdout } : {}),
    prompt: options.prompt,
    terminal,
  });
  options.signal.addEventListener('abort', () => {
    readline.close();
  });
  let failed = false;
  // Piped input has no prompt, and may have ended while an answer was on its way.
  const prompt = (): void => {
    if (terminal) readline.prompt();
  };
  if (terminal) process.stdout.write(`${options.greeting}\n`);
  prompt();
  for await (const raw of readline) {
    const line = raw.trim();
    if (line === 'exit' || line === 'quit') break;
    if (line !== '') {
      try {
        process.stdout.write(`${await options.answer(line)}\n`);
      } catch (error) {
        if (!(error instanceof Error)) throw error;
        failed = true;
        process.stderr.write(`${error.message}\n`);
      }
    }
    prompt();
  }
  readline.close();
  return failed && !terminal ? 1 : 0;
}

/** Splits a line into words: blanks divide, single and double quotes hold together, backslash escapes in double quotes and outside. */
export function splitWords(line: string): readonly string[] {
  const words: string[] = [];
  let word: string | undefined;
  let quote = '';
  for (let index = 0; index < line.length; index += 1) {
    const char = line[index] ?? '';
    if (char === '\\' && quote !== "'") {
      index += 1;
      word = (word ?? '') + (line[index] ?? '');
    } else if (quote !== '') {
      if (char === quote) quote = '';
      else word = (word ?? '') + char;
    } else if (char === '"' || char === "'") {
      quote = char;
      word ??= '';
    } else if (/\s/.test(char)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else {
      word = (word ?? '') + char;
    }
  }
  if (quote !== '') throw new DevstackError({ code: 'USAGE', message: `A ${quote} is not closed.` });
  return word === undefined ? words : [...words, word];
}
