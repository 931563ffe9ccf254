import { DevstackError } from '@devstack-core/errors';
import { stringArgument, type Arguments, type Outcome } from '../command.ts';
import { commands } from '../commands.ts';
import { allFlags } from '../cli.ts';
import type { Context } from '../context.ts';

const scripts: Readonly<Record<string, (words: Words) => string>> = { bash, zsh, fish };

interface Words {
  readonly top: readonly string[];
  readonly verbs: ReadonlyMap<string, readonly string[]>;
  readonly flags: readonly string[];
  readonly services: readonly string[];
}

export async function run(args: Arguments, context: Context): Promise<Outcome> {
  const shell = stringArgument(args, 'shell') ?? '';
  const script = scripts[shell];
  if (script === undefined)
    throw new DevstackError({
      code: 'USAGE',
      message: `There is no completion for ${JSON.stringify(shell)}.`,
      hint: 'bash, zsh or fish',
    });
  const services = await context.stack().then(
    (stack) => stack.model.services.map((service) => service.name),
    () => [],
  );
  return { text: script(collect(services)) };
}

function collect(services: readonly string[]): Words {
  const verbs = new Map<string, string[]>();
  const top = new Set<string>();
  for (const spec of commands) {
    const [noun = '', verb] = spec.name.split(' ');
    top.add(noun);
    if (verb !== undefined) verbs.set(noun, [...(verbs.get(noun) ?? []), verb]);
    for (const alias of spec.aliases ?? []) top.add(alias);
  }
  const flags = new Set(commands.flatMap((spec) => Object.keys(allFlags(spec)).map((flag) => `--${flag}`)));
  return { top: [...top], verbs, flags: [...flags, '--help'], services };
}

function bash(words: Words): string {
  const cases = [...words.verbs]
    .map(([noun, verbs]) => `    ${noun}) [ "$COMP_CWORD" = 2 ] && words='${verbs.join(' ')}' ;;`)
    .join('\n');
  return `# devstack completion for bash
_devstack() {
  local current="\${COMP_WORDS[COMP_CWORD]}" words='${words.services.join(' ')}'
  [ "$COMP_CWORD" = 1 ] && words='${words.top.join(' ')}'
  case "\${COMP_WORDS[1]}" in
${cases}
  esac
  case "$current" in -*) words='${words.flags.join(' ')}' ;; esac
  # shellcheck disable=SC2207
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -F _devstack devstack ./devstack
`;
}

function zsh(words: Words): string {
  const cases = [...words.verbs]
    .map(([noun, verbs]) => `    ${noun}) (( CURRENT == 3 )) && words_=(${verbs.join(' ')}) ;;`)
    .join('\n');
  return `#compdef devstack
_devstack() {
  local -a words_
  words_=(${words.services.join(' ')})
  (( CURRENT == 2 )) && words_=(${words.top.join(' ')})
  case $words[2] in
${cases}
  esac
  [[ $PREFIX == -* ]] && words_=(${words.flags.join(' ')})
  compadd -a words_
}
compdef _devstack devstack
`;
}

function fish(words: Words): string {
  const verbs = [...words.verbs]
    .map(([noun, list]) => `complete -c devstack -f -n '__fish_seen_subcommand_from ${noun}' -a '${list.join(' ')}'`)
    .join('\n');
  return `# devstack completion for fish
complete -c devstack -f -n __fish_use_subcommand -a '${words.top.join(' ')}'
${verbs}
complete -c devstack -f -n 'not __fish_use_subcommand' -a '${words.services.join(' ')}'
${words.flags.map((flag) => `complete -c devstack -l ${flag.slice(2)}`).join('\n')}
`;
}
