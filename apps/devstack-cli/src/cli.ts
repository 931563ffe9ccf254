import { DevstackError } from '@devstack-core/errors';
import type { Argv } from 'yargs';
import { commands } from './commands.ts';
import type { Arguments, CommandSpec, Outcome } from './command.ts';
import type { Context } from './context.ts';
import { helpPage } from './help.ts';

/** What the words on the command line ask for: a text to print (help, version), or a command to run. */
export type Parsed =
  | { readonly kind: 'text'; readonly text: string }
  | {
      readonly kind: 'command';
      readonly name: string;
      readonly arguments: Arguments;
      readonly json: boolean;
      readonly progress: string;
      readonly interactive: boolean;
      readonly run: (context: Context) => Promise<Outcome>;
    };

/** Parses without running. Throws USAGE with the nearest right word. */
export async function parse(argv: readonly string[]): Promise<Parsed> {
  const asked = argv.filter((word) => !word.startsWith('-'));
  if (argv.includes('--help') || argv.includes('-h') || asked.length === 0 || asked[0] === 'help') {
    if (!argv.includes('--')) return { kind: 'text', text: helpPage(asked.filter((word) => word !== 'help')) };
  }
  let chosen: { spec: CommandSpec; args: Arguments } | undefined;
  // Only a command needs it: help and version are there before it would be loaded.
  const { default: yargs } = await import('yargs');
  const parser = yargs()
    .scriptName('devstack')
    .locale('en')
    .parserConfiguration({
      'parse-numbers': false,
      'dot-notation': false,
      'populate--': true,
      'camel-case-expansion': false,
      'parse-positional-numbers': false,
    })
    .exitProcess(false)
    .help(false)
    .version(false)
    .strict()
    .recommendCommands()
    .demandCommand(1, 'Name a command.')
    .fail((message: string | null, error: unknown) => {
      // yargs gives a message for usage errors only; anything else is ours and goes on as it is.
      if (message === null && error instanceof Error) throw error;
      throw usageError(message ?? 'That is not a command.', asked);
    });
  addAll(parser, (spec, args) => {
    chosen = { spec, args };
  });
  await parser.parseAsync([...argv]);
  if (chosen === undefined) throw usageError('That is not a command.', asked);
  const { spec, args } = chosen;
  return {
    kind: 'command',
    name: spec.name,
    arguments: args,
    json: args['json'] === true,
    progress: typeof args['progress'] === 'string' ? args['progress'] : 'auto',
    interactive: spec.interactive === true,
    run: (context) => spec.run(args, context),
  };
}

type Chosen = (spec: CommandSpec, args: Arguments) => void;

function addAll(parser: Argv, onChosen: Chosen): void {
  const nouns = new Map<string, CommandSpec[]>();
  for (const spec of commands) {
    const [noun = '', verb] = spec.name.split(' ');
    if (verb === undefined) add(parser, noun, spec, onChosen);
    else nouns.set(noun, [...(nouns.get(noun) ?? []), spec]);
    // An alias that is the noun itself is what the noun alone means: `backup` is `backup create`.
    for (const alias of spec.aliases ?? []) if (alias !== noun) add(parser, alias, spec, onChosen);
  }
  for (const [noun, specs] of nouns) {
    if (commands.some((spec) => spec.name === noun)) continue;
    parser.command(noun, false, (sub) => {
      for (const spec of specs) {
        const [, verb = ''] = spec.name.split(' ');
        add(sub, spec.aliases?.includes(noun) === true ? [verb, '$0'] : [verb], spec, onChosen);
      }
      return sub.demandCommand(1, `Name what to do: ${specs.map((spec) => spec.name).join(', ')}.`);
    });
  }
}

function add(parser: Argv, word: string | readonly string[], spec: CommandSpec, onChosen: Chosen): void {
  const positionals = (spec.positionals ?? []).map((one) =>
    one.required === true
      ? `<${one.name}${one.variadic === true ? '..' : ''}>`
      : `[${one.name}${one.variadic === true ? '..' : ''}]`,
  );
  const words = typeof word === 'string' ? [word] : word;
  parser.command(
    words.map((one) => [one, ...positionals].join(' ')),
    spec.describe,
    (sub) => {
      for (const positional of spec.positionals ?? [])
        sub.positional(positional.name, { type: 'string', describe: positional.describe });
      for (const [name, flag] of Object.entries(allFlags(spec))) {
        sub.option(name, {
          type: flag.type,
          describe: flag.describe,
          ...(flag.alias === undefined ? {} : { alias: flag.alias }),
          ...(flag.choices === undefined ? {} : { choices: flag.choices }),
          ...(flag.default === undefined ? {} : { default: flag.default }),
        });
      }
      return sub;
    },
    (args) => {
      onChosen(spec, lastOfEach(spec, args));
    },
  );
}

// yargs makes a list of a flag that is given twice, which nobody reads: it counts as it was given last.
function lastOfEach(spec: CommandSpec, args: Arguments): Arguments {
  const given = Object.entries(allFlags(spec)).map(([name, { repeatable = false }]) => {
    const value = args[name];
    return [name, Array.isArray(value) && !repeatable ? (value.at(-1) as unknown) : value] as const;
  });
  return { ...args, ...Object.fromEntries(given) };
}

/** A command's own flags and those that every command takes. */
export function allFlags(spec: CommandSpec): NonNullable<CommandSpec['flags']> {
  return {
    ...spec.flags,
    ...(spec.json === true
      ? { json: { type: 'boolean', describe: 'Print one JSON document on stdout' } as const }
      : {}),
    progress: {
      type: 'string',
      describe: 'How to show progress on stderr',
      choices: ['auto', 'plain', 'ndjson', 'none'],
      default: 'auto',
    },
    color: { type: 'boolean', describe: 'No colours on a terminal', default: true },
  };
}

function usageError(message: string, asked: readonly string[]): DevstackError {
  const known = commands.some(
    (spec) => spec.name.split(' ')[0] === asked[0] || (spec.aliases ?? []).includes(asked[0] ?? ''),
  );
  return new DevstackError({
    code: 'USAGE',
    message: message.trim().replaceAll('\n', ' '),
    hint: `See: devstack ${known ? `${asked[0] ?? ''} ` : ''}--help`,
  });
}
