export { run, type Argv, type RunOptions, type RunResult } from './run.ts';
export { runInteractive, type RunInteractiveOptions } from './run-interactive.ts';
export { which } from './which.ts';
export { displayCommand } from './display-command.ts';
export { defaultInheritedEnv, type InheritEnv } from './environment.ts';
export type { OutputLine } from './output.ts';
export { CommandRunnerErrorCode } from './errors.ts';
