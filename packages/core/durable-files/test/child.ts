import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** A process that runs one of the scripts beside this file. */
export interface ScriptProcess extends AsyncDisposable {
  readonly child: ChildProcess;
  /** Resolves with the next line that it writes. */
  nextLine(): Promise<string>;
  /** `kill -9`, and wait until it is gone. */
  kill(): Promise<void>;
}

export function startScript(name: string, ...args: string[]): ScriptProcess {
  const script = fileURLToPath(new URL(name, import.meta.url));
  const child = spawn(process.execPath, ['-C', '@devstack-core/source', script, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const kill = async (): Promise<void> => {
    child.kill('SIGKILL');
    await exited;
  };
  return {
    child,
    kill,
    async nextLine() {
      const line = await lines.next();
      if (line.done === true) throw new Error(`${name} ended without a further line`);
      return line.value;
    },
    [Symbol.asyncDispose]: kill,
  };
}
