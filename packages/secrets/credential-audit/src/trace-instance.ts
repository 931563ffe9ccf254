import { randomBytes } from 'node:crypto';
import { constants, existsSync } from 'node:fs';
import { access, mkdir, mkdtemp, readFile, readdir, rmdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { run } from '@devstack-core/command-runner';

/** A private instance of the kernel's tracing, which tells of every program that is started on this machine. */
export interface TraceInstance extends AsyncDisposable {
  readonly pipe: string;
  /** Writes a line of our own among the events. */
  mark(text: string): Promise<void>;
  /** How many events the kernel had to drop. */
  lost(): Promise<number>;
}

/**
 * Opens one, with `sched_process_exec` on (Documentation/trace/ftrace.rst, "Instances"): other users of tracing see nothing of it. Where
 * no tracefs is mounted, one is mounted for the time being. Throws where the kernel or the user's rights do not allow it.
 */
export async function openTrace(): Promise<TraceInstance> {
  const cleanup: (() => Promise<unknown>)[] = [];
  const close = async (): Promise<void> => {
    for (const step of cleanup.toReversed()) await step();
  };
  try {
    const root = (await mounted()) ?? (await mountOne(cleanup));
    await sweepInstances(join(root, 'instances'));
    const folder = join(root, 'instances', `${prefix}${String(process.pid)}-${randomBytes(4).toString('hex')}`);
    await mkdir(folder);
    cleanup.push(() => rmdir(folder));
    const set = (file: string, value: string): Promise<void> => writeFile(join(folder, file), value);
    await set('buffer_size_kb', '2048');
    // The reader wakes for a single event, not for half a buffer.
    await set('buffer_percent', '0').catch(() => undefined);
    await set('events/sched/sched_process_exec/enable', '1');
    cleanup.push(() => set('events/sched/sched_process_exec/enable', '0'));
    await set('tracing_on', '1');
    return {
      pipe: join(folder, 'trace_pipe'),
      mark: (text) => set('trace_marker', `${text}\n`),
      lost: () => lostEvents(folder),
      [Symbol.asyncDispose]: close,
    };
  } catch (error) {
    await close().catch(() => undefined);
    throw error;
  }
}

async function mounted(): Promise<string | undefined> {
  for (const root of ['/sys/kernel/tracing', '/sys/kernel/debug/tracing']) {
    const isThere = await access(join(root, 'instances'), constants.W_OK).then(
      () => true,
      () => false,
    );
    if (isThere) return root;
  }
  return undefined;
}

async function mountOne(cleanup: (() => Promise<unknown>)[]): Promise<string> {
  await sweepMounts();
  const folder = await mkdtemp(join(tmpdir(), `${prefix}${String(process.pid)}-`));
  cleanup.push(() => rmdir(folder));
  await run(['mount', '-t', 'tracefs', 'tracefs', folder]);
  cleanup.push(() => run(['umount', folder]));
  return folder;
}

const prefix = 'credential-audit-trace-';

// What a killed process left behind: names hold the process that made them.
async function sweepInstances(folder: string): Promise<void> {
  for (const name of (await readdir(folder)).filter(isLeftBehind)) {
    await writeFile(join(folder, name, 'events/sched/sched_process_exec/enable'), '0').catch(() => undefined);
    await rmdir(join(folder, name)).catch(() => undefined);
  }
}

async function sweepMounts(): Promise<void> {
  const mounts = await readFile('/proc/mounts', 'utf8');
  for (const [, folder = ''] of mounts.matchAll(/^\S+ (\S+) tracefs /gm)) {
    if (!isLeftBehind(basename(folder))) continue;
    await sweepInstances(join(folder, 'instances'));
    await run(['umount', folder], { check: false });
    await rmdir(folder).catch(() => undefined);
  }
}

function isLeftBehind(name: string): boolean {
  const pid = name.startsWith(prefix) ? /^\d+/.exec(name.slice(prefix.length))?.[0] : undefined;
  return pid !== undefined && !existsSync(join('/proc', pid));
}

async function lostEvents(folder: string): Promise<number> {
  const cpus = await readdir(join(folder, 'per_cpu'));
  const stats = await Promise.all(cpus.map((cpu) => readFile(join(folder, 'per_cpu', cpu, 'stats'), 'utf8')));
  return stats
    .flatMap((text) => [...text.matchAll(/^(?:overrun|dropped events): (\d+)$/gm)])
    .reduce((total, match) => total + Number(match[1]), 0);
}
