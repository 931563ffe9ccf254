/** What a thread is told. */
export interface WatchOrders {
  readonly procRoot: string;
  /** The pipe of trace events, or undefined to look at /proc again and again. */
  readonly tracePipe: string | undefined;
  /** Niceness of the thread. */
  readonly priority: number | undefined;
  /** Between two looks. */
  readonly pollMs: number;
  /** Lines of the pipe that hold these begin and end the watch. */
  readonly begin: string;
  readonly end: string;
  /** One number: not 0 ends the sampling. */
  readonly stop: Int32Array;
}

/** What a thread tells. */
export type WatchNews =
  /** The thread runs; its id is `process/task/thread`. */
  | { readonly type: 'thread'; readonly id: string }
  /** It watches. `pid`: the writer of the first line, as the kernel counts. */
  | { readonly type: 'ready'; readonly pid: number }
  | {
      readonly type: 'process';
      readonly pid: number;
      readonly name: string;
      /** Missing where it could not be read any more. */
      readonly cmdline?: Uint8Array;
      readonly environ?: Uint8Array;
      /** The error's code where it was not allowed. */
      readonly refused?: string;
    }
  | { readonly type: 'end' };

/**
 * Reads the arguments of processes while they start. It runs in a thread of its own, with the highest priority that it gets: a program
 * may be over half a millisecond after its start, so nothing may stand between the event and the reading. The thread is made of this
 * function's own text, hence it uses nothing but its parameters and Node's own modules.
 */
export function watchThread(orders: WatchOrders, tell: (news: WatchNews) => void): void {
  const { openSync, readFileSync, readSync, readdirSync, readlinkSync, closeSync } =
    process.getBuiltinModule('node:fs');
  const { setPriority } = process.getBuiltinModule('node:os');
  try {
    if (orders.priority !== undefined) setPriority(orders.priority);
  } catch {
    // Not allowed: slower, which the count of unread processes shows.
  }
  const read = (pid: string, file: string): Uint8Array | string | undefined => {
    try {
      return readFileSync(`${orders.procRoot}/${pid}/${file}`);
    } catch (error) {
      const code = (error as { readonly code?: string }).code ?? 'unknown';
      return code === 'ENOENT' || code === 'ESRCH' ? undefined : code;
    }
  };
  const look = (pid: string, name: string): Uint8Array | undefined => {
    const cmdline = read(pid, 'cmdline');
    const environ = read(pid, 'environ');
    const refused = typeof cmdline === 'string' ? cmdline : typeof environ === 'string' ? environ : undefined;
    const isThere = (answer: Uint8Array | string | undefined): answer is Uint8Array =>
      typeof answer === 'object' && answer.length > 0;
    tell({
      type: 'process',
      pid: Number(pid),
      name,
      ...(isThere(cmdline) ? { cmdline } : {}),
      ...(isThere(environ) ? { environ } : {}),
      ...(refused === undefined ? {} : { refused }),
    });
    return isThere(cmdline) ? cmdline : undefined;
  };

  const follow = (path: string): void => {
    const pipe = openSync(path, 'r');
    const buffer = Buffer.alloc(65_536);
    let rest = '';
    let isOn = false;
    for (;;) {
      const lines = (rest + buffer.toString('latin1', 0, readSync(pipe, buffer))).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        const exec = /sched_process_exec: filename=(.*) pid=(\d+) old_pid=\d+/.exec(line);
        if (exec !== null) {
          if (isOn) look(exec[2] ?? '', (exec[1] ?? '').split('/').at(-1) ?? '');
        } else if (line.includes(orders.begin)) {
          isOn = true;
          tell({ type: 'ready', pid: Number(/-(\d+)\s+\[/.exec(line)?.[1]) });
        } else if (line.includes(orders.end)) {
          closeSync(pipe);
          tell({ type: 'end' });
          return;
        }
      }
    }
  };

  const sample = (): void => {
    const pids = (): string[] => readdirSync(orders.procRoot).filter((name) => /^\d+$/.test(name));
    const startOf = (pid: string): string | undefined => {
      const stat = read(pid, 'stat');
      // The 22nd field, after a name that may hold blanks.
      return typeof stat === 'object'
        ? Buffer.from(stat).toString('latin1').split(') ').at(-1)?.split(' ')[19]
        : undefined;
    };
    const before = new Map(pids().map((pid) => [pid, startOf(pid)]));
    const seen = new Map<string, string>();
    tell({ type: 'ready', pid: process.pid });
    for (let isLast = false; ;) {
      for (const pid of pids()) {
        const start = startOf(pid);
        if (start === undefined || before.get(pid) === start) continue;
        // A child is first its parent's copy and then becomes its own program: it is looked at until its arguments stay the same.
        const cmdline = read(pid, 'cmdline');
        const text = typeof cmdline === 'object' ? Buffer.from(cmdline).toString('latin1') : (cmdline ?? '');
        if (text === '' || seen.get(`${pid} ${start}`) === text) continue;
        seen.set(`${pid} ${start}`, text);
        const comm = read(pid, 'comm');
        look(pid, typeof comm === 'object' ? Buffer.from(comm).toString('utf8').trim() : 'unknown');
      }
      if (isLast) break;
      Atomics.wait(orders.stop, 0, 0, orders.pollMs);
      isLast = Atomics.load(orders.stop, 0) !== 0;
    }
    tell({ type: 'end' });
  };

  let id = '';
  try {
    id = readlinkSync('/proc/thread-self');
  } catch {
    // Not Linux: then there is no trace either.
  }
  // The first readings of a new thread are slow.
  for (let warming = 0; warming < 200; warming += 1) read('self', 'environ');
  tell({ type: 'thread', id });
  if (orders.tracePipe === undefined) sample();
  else follow(orders.tracePipe);
}
