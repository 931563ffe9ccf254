import { readdirSync, readFileSync } from 'node:fs';

/** Looks at arguments and environments of every process of the machine, again and again, for a text that must be in none. */
export interface CanaryWatch extends AsyncDisposable {
  /** How many processes were looked at, and where the text was. */
  stop(): { readonly looks: number; readonly found: readonly string[] };
}

/** Containers' processes are among them where the engine is this machine's own. This process is not looked at. */
export function watchProcesses(canary: string): CanaryWatch {
  const found = new Set<string>();
  let looks = 0;
  const look = (): void => {
    for (const pid of readdirSync('/proc')) {
      if (!/^\d+$/.test(pid) || Number(pid) === process.pid) continue;
      for (const file of ['cmdline', 'environ']) {
        const text = read(`/proc/${pid}/${file}`);
        if (text === undefined) continue;
        looks += 1;
        if (text.includes(canary)) found.add(`${file}: ${text.slice(0, 100).replaceAll('\0', ' ')}`);
      }
    }
  };
  const timer = setInterval(look, 15);
  const stop = (): { looks: number; found: readonly string[] } => {
    clearInterval(timer);
    return { looks, found: [...found] };
  };
  return {
    stop,
    [Symbol.asyncDispose]: async () => {
      stop();
      await Promise.resolve();
    },
  };
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return undefined;
  }
}
