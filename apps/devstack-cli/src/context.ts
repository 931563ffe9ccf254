import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { DevstackError } from '@devstack-core/errors';
import type { OnEvent, Stack } from '@devstack-core/stack-lifecycle';
import { createProgress, type Progress } from './output/progress.ts';

/** Everything a command may touch, built when it is first asked for. */
export interface Context {
  readonly root: string;
  readonly configHome: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly signal: AbortSignal;
  readonly color: boolean;
  readonly interactive: boolean;
  readonly progress: Progress;
  readonly onEvent: OnEvent;
  stack(): Promise<Stack>;
  /** Asks a yes-or-no question; `--yes` answers it; without a terminal it is an error that says so. */
  confirm(question: string, yes: boolean): Promise<void>;
  write(text: string): void;
}

const marker = 'infrastructure/compose/compose.yaml';

/** Wires the real adapters. Nothing is opened yet. */
export function createContext(options: {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly signal: AbortSignal;
  readonly progress: string;
  readonly color: boolean;
  readonly json: boolean;
}): Context {
  let stack: Promise<Stack> | undefined;
  const progress = createProgress({ mode: options.progress, color: options.color, stream: process.stderr });
  const root = findRoot(options.env['DEVSTACK_ROOT'] ?? options.cwd);
  const configHome = configHomeOf(options.env);
  return {
    root: root ?? options.cwd,
    configHome,
    env: options.env,
    signal: options.signal,
    color: options.color,
    interactive: process.stdin.isTTY && process.stderr.isTTY,
    progress,
    onEvent: progress.onEvent,
    stack: () => (stack ??= open(root, configHome, options)),
    confirm: async (question, yes) => {
      if (yes) return;
      if (!process.stdin.isTTY) {
        throw new DevstackError({
          code: 'USAGE',
          message: `${question} This needs an answer, and there is no terminal to ask on.`,
          hint: 'Say --yes to go ahead.',
        });
      }
      const readline = createInterface({ input: process.stdin, output: process.stderr });
      const answer = await readline.question(`${question} Type yes to go ahead: `, { signal: options.signal });
      readline.close();
      if (answer.trim().toLowerCase() !== 'yes')
        throw new DevstackError({ code: 'DECLINED', message: 'Nothing was changed.' });
    },
    write: (text) => {
      process.stdout.write(text);
    },
  };
}

/** Where the folders of all projects are. A relative path would put Vault's keys into whatever folder a command is called in. */
export function configHomeOf(env: Readonly<Record<string, string | undefined>>, home: string = homedir()): string {
  const xdg = env['XDG_CONFIG_HOME'] ?? '';
  const path = env['DEVSTACK_CONFIG_HOME'] ?? join(isAbsolute(xdg) ? xdg : join(home, '.config'), 'devstack');
  if (isAbsolute(path)) return path;
  throw new DevstackError({
    code: 'USAGE',
    message: `The folder for keys and settings would be ${JSON.stringify(path)}, which is not an absolute path.`,
    hint: 'Set HOME, or DEVSTACK_CONFIG_HOME to a path that begins with a slash.',
  });
}

async function open(
  root: string | undefined,
  configHome: string,
  options: { readonly env: Readonly<Record<string, string | undefined>>; readonly cwd: string },
): Promise<Stack> {
  if (root === undefined) {
    throw new DevstackError({
      code: 'PROJECT_NOT_FOUND',
      message: `No DevStack checkout at or above ${options.cwd} (looked for ${marker}).`,
      hint: 'Change into the checkout, or name it with DEVSTACK_ROOT.',
    });
  }
  const { openStack } = await import('@devstack-core/stack-lifecycle');
  return openStack({ root, configHome, env: options.env });
}

function findRoot(from: string): string | undefined {
  for (let folder = resolve(from); ; folder = dirname(folder)) {
    if (existsSync(join(folder, marker))) return folder;
    if (folder === dirname(folder)) return undefined;
  }
}
