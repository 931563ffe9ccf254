import { commands } from './commands.ts';
import { allFlags } from './cli.ts';
import type { CommandSpec } from './command.ts';

const groups: readonly CommandSpec['group'][] = [
  'Stack',
  'Look',
  'Work with services',
  'Vault',
  'Security',
  'Backup',
  'Machine',
];

/** The help of the whole, of a noun (`vault`), or of one command. An unknown word gets the whole. */
export function helpPage(words: readonly string[]): string {
  const [first] = words;
  if (first === undefined) return wholePage();
  const named = commands.find((spec) => spec.name === words.slice(0, spec.name.split(' ').length).join(' '));
  if (named !== undefined) return commandPage(named);
  const noun = commands.filter((spec) => spec.name.startsWith(`${first} `));
  if (noun.length > 0) return nounPage(first, noun);
  const alias = commands.find((spec) => (spec.aliases ?? []).includes(first));
  return alias === undefined ? wholePage() : commandPage(alias);
}

function wholePage(): string {
  const lines = ['devstack: a secured local stack of real services.', '', 'Usage: devstack <command> [options]', ''];
  for (const group of groups) {
    lines.push(`${group}:`, ...summaries(commands.filter((spec) => spec.group === group)), '');
  }
  lines.push(
    'Examples:',
    '  devstack up                              bring the standard profile up',
    '  devstack status                          what runs, where, and how it logs in',
    '  devstack vault show-password postgres    the one command that prints a password',
    '',
    'Exit status: 0 done, 1 failed, 2 usage, 3 done with findings, 130 interrupted.',
    'More: devstack <command> --help',
    '',
  );
  return lines.join('\n');
}

function nounPage(noun: string, specs: readonly CommandSpec[]): string {
  return [
    `Usage: devstack ${noun} <command> [options]`,
    '',
    ...summaries(specs),
    '',
    `More: devstack ${noun} <command> --help`,
    '',
  ].join('\n');
}

/** One command's page: usage, flags, examples, exit status. */
export function commandPage(spec: CommandSpec): string {
  const positionals = (spec.positionals ?? []).map((one) =>
    one.required === true ? `<${one.name}>` : `[${one.name}${one.variadic === true ? '...' : ''}]`,
  );
  const flags = Object.entries(allFlags(spec)).map(([name, flag]) => {
    const value = flag.type === 'boolean' ? '' : ` <${flag.choices?.join('|') ?? flag.value ?? flag.type}>`;
    const fallback = flag.default === undefined || flag.type === 'boolean' ? '' : ` (default: ${String(flag.default)})`;
    return [
      `${flag.alias === undefined ? '' : `-${flag.alias}, `}--${flag.default === true ? 'no-' : ''}${name}${value}`,
      `${flag.describe}${fallback}`,
    ] as const;
  });
  const exits = [[0, 'done'], [1, 'failed'], [2, 'usage'], ...(spec.exits ?? []), [130, 'interrupted']] as const;
  return [
    `${spec.describe}.`,
    '',
    `Usage: devstack ${[spec.name, ...positionals].join(' ')} [options]`,
    ...((spec.aliases ?? []).length === 0
      ? []
      : [`Also:  ${(spec.aliases ?? []).map((alias) => `devstack ${alias}`).join(', ')}`]),
    '',
    ...((spec.positionals ?? []).length === 0
      ? []
      : [...columns((spec.positionals ?? []).map((one) => [one.name, one.describe] as const)), '']),
    'Options:',
    ...columns(flags),
    '',
    'Examples:',
    ...columns(spec.examples.map(([command, says]) => [command, says] as const)),
    '',
    'Exit status:',
    ...columns(exits.map(([code, when]) => [String(code), when] as const)),
    '',
  ].join('\n');
}

function summaries(specs: readonly CommandSpec[]): readonly string[] {
  return columns(specs.map((spec) => [spec.name, spec.describe] as const));
}

function columns(rows: readonly (readonly [string, string])[]): readonly string[] {
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`.trimEnd());
}
