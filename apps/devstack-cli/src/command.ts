import type { Context } from './context.ts';

/** What a command gives back: the data of `--json`, the same for people, and the exit code (0 where none is said). */
export interface Outcome {
  readonly data?: unknown;
  readonly text?: string;
  readonly exitCode?: number;
}

/** One flag of a command. A secret is never a flag's value. */
export interface Flag {
  readonly describe: string;
  readonly type: 'boolean' | 'string' | 'number';
  readonly alias?: string;
  /** What the value is, for help: `seconds`. */
  readonly value?: string;
  readonly choices?: readonly string[];
  readonly default?: boolean | string | number;
  /** May be given more than once: read it with `listArgument`. */
  readonly repeatable?: boolean;
}

/** The words after the command's name: `[services..]`, `<service>`, `[-- argv..]`. */
export interface Positional {
  readonly name: string;
  readonly describe: string;
  readonly required?: boolean;
  readonly variadic?: boolean;
  readonly completes?: 'service' | 'profile' | 'shell';
}

/** What yargs parsed, by flag and positional name. */
export type Arguments = Readonly<Record<string, unknown>>;

/** A command as data: the tree, the help, the completion and the reference page are made from these. */
export interface CommandSpec {
  /** `up`, or noun and verb: `vault show-password`. */
  readonly name: string;
  readonly aliases?: readonly string[];
  readonly group: 'Stack' | 'Look' | 'Work with services' | 'Vault' | 'Security' | 'Backup' | 'Machine';
  readonly describe: string;
  readonly positionals?: readonly Positional[];
  readonly flags?: Readonly<Record<string, Flag>>;
  readonly examples: readonly (readonly [command: string, says: string])[];
  /** Exit codes beyond 0, 1 and 2, in words. */
  readonly exits?: readonly (readonly [code: number, when: string])[];
  /** True for commands that print data: they take `--json`. */
  readonly json?: boolean;
  /** True where a program on the same terminal gets Ctrl-C itself: it is not ours to act on. */
  readonly interactive?: boolean;
  readonly run: (args: Arguments, context: Context) => Promise<Outcome>;
}

/** Typed reading of what yargs gave. */
export function stringArgument(args: Arguments, name: string): string | undefined {
  const value = args[name];
  return typeof value === 'string' ? value : undefined;
}

export function listArgument(args: Arguments, name: string): readonly string[] {
  const value = args[name];
  return Array.isArray(value) ? value.map(String) : typeof value === 'string' ? [value] : [];
}

export function numberArgument(args: Arguments, name: string): number | undefined {
  const value = args[name];
  return typeof value === 'number' ? value : undefined;
}
