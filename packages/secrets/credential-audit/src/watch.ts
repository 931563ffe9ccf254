import { randomBytes } from 'node:crypto';
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { auditReport, toolOf, type AuditReport } from '@devstack-core/audit-report';
import { run } from '@devstack-core/command-runner';
import { DevstackError } from '@devstack-core/errors';
import type { Secret } from '@devstack-core/redaction';
import { reasonOf, throwIfAborted } from './collect/context.ts';
import { CredentialAuditErrorCode } from './errors.ts';
import type { IgnoreEntry } from './ignore.ts';
import { Ledger } from './ledger.ts';
import { expandNeedles, type CredentialNeedle } from './needles.ts';
import { openTrace, type TraceInstance } from './trace-instance.ts';
import { watchThread, type WatchNews, type WatchOrders } from './watch-thread.ts';

export interface WatchOptions<T> {
  readonly needles: readonly CredentialNeedle[];
  /** What is watched. Its failure is the failure of the watch. */
  readonly run: (signal: AbortSignal | undefined) => Promise<T> | T;
  /** `sampling` never asks the kernel; found out unless given. */
  readonly mode?: 'sampling';
  /** Between two looks at /proc when sampling, in milliseconds; 20 unless given, and at most. */
  readonly pollMs?: number;
  readonly procRoot?: string;
  readonly fingerprintKey?: Secret;
  readonly ignore?: readonly IgnoreEntry[];
  readonly signal?: AbortSignal;
  readonly now?: () => Date;
}

export interface WatchResult<T> {
  /** What `run` gave. */
  readonly value: T;
  /** `kernel-events`: every start of a program was told by the kernel. `sampling`: shorter ones than `pollMs` may have been missed. */
  readonly mode: 'kernel-events' | 'sampling';
  /** Why not by the kernel's events. */
  readonly modeReason?: string;
  readonly pollMs: number;
  /** Programs that were started, by anyone on this machine. */
  readonly processesSeen: number;
  /** Those of them that ended before their arguments could be read. */
  readonly processesUnread: number;
  /** Pass only where all of them were read. */
  readonly report: AuditReport;
}

/**
 * Watches the arguments and the environment of every program that is started on this machine while `run` executes. The kernel's exec
 * events lead to each (Linux, root); elsewhere /proc is sampled, which is never a pass, as it can miss. Throws what `run` throws, WATCH_IMPOSSIBLE, INTERRUPTED.
 */
export async function watchProcesses<T>(options: WatchOptions<T>): Promise<WatchResult<T>> {
  const { signal, procRoot = '/proc' } = options;
  throwIfAborted(signal);
  const startedAt = options.now?.() ?? new Date();
  const { needles, unsearchable } = expandNeedles(options.needles);
  const fingerprintKey = options.fingerprintKey?.reveal() ?? randomBytes(32).toString('hex');
  const ledger = new Ledger({ needles, patterns: [], ignore: options.ignore ?? [], fingerprintKey });
  for (const { label, field, reason } of unsearchable.filter(({ mayBeSecret }) => mayBeSecret))
    ledger.notChecked.push({ subject: [label, field].filter(Boolean).join(' '), reason: `not searchable: ${reason}` });
  const pollMs = Math.min(Math.max(options.pollMs ?? 20, 1), 20);
  const watch = await startWatch(options.mode, procRoot, pollMs, ledger);
  let value: T;
  try {
    value = await options.run(signal);
  } finally {
    await watch.stop();
  }
  throwIfAborted(signal);
  const { seen, unread, lost, modeReason } = watch;
  if (unread.length > 0) {
    const names = [...new Set(unread)].slice(0, 10).join(', ');
    const reason = `process-arguments: ${String(unread.length)} of ${String(seen)} ended before they could be read (${names})`;
    ledger.notChecked.push({ subject: 'short-lived processes', reason: ledger.mask(reason) });
  }
  if (lost > 0)
    ledger.notChecked.push({
      subject: 'processes',
      reason: `the kernel dropped ${String(lost)} events: too many at once`,
    });
  for (const reason of watch.refused)
    ledger.notChecked.push({ subject: 'processes', reason: ledger.mask(`process-environment: ${reason}`) });
  if (modeReason !== undefined) {
    const reason = `what lived shorter than ${String(pollMs)} ms may have been missed: ${modeReason}`;
    ledger.notChecked.push({ subject: 'short-lived processes', reason });
  }
  return {
    value,
    mode: modeReason === undefined ? 'kernel-events' : 'sampling',
    ...(modeReason === undefined ? {} : { modeReason }),
    pollMs,
    processesSeen: seen,
    processesUnread: unread.length,
    report: auditReport({
      tool: toolOf('credential-audit', import.meta.url),
      startedAt,
      findings: ledger.findings(),
      notChecked: ledger.notChecked,
      checkedCount: seen - unread.length,
    }),
  };
}

interface Watch {
  readonly modeReason: string | undefined;
  /** Starts of programs. */
  seen: number;
  readonly unread: string[];
  readonly refused: Set<string>;
  lost: number;
  readonly stop: () => Promise<void>;
}

async function startWatch(
  mode: 'sampling' | undefined,
  procRoot: string,
  pollMs: number,
  ledger: Ledger,
): Promise<Watch> {
  if (mode === 'sampling') return sample('sampling was asked for', procRoot, pollMs, ledger);
  try {
    return await watchWith(await openTrace(), undefined, procRoot, pollMs, ledger);
  } catch (error) {
    return sample(`the kernel's exec events cannot be had (${reasonOf(error)})`, procRoot, pollMs, ledger);
  }
}

async function sample(modeReason: string, procRoot: string, pollMs: number, ledger: Ledger): Promise<Watch> {
  try {
    return await watchWith(undefined, modeReason, procRoot, pollMs, ledger);
  } catch (error) {
    throw new DevstackError({
      code: CredentialAuditErrorCode.watchImpossible,
      message: `Processes cannot be watched: ${modeReason}, and ${procRoot} cannot be read (${reasonOf(error)}).`,
      hint: 'Watch on Linux, on the machine whose processes are meant.',
      details: { procRoot },
    });
  }
}

async function watchWith(
  trace: TraceInstance | undefined,
  modeReason: string | undefined,
  procRoot: string,
  pollMs: number,
  ledger: Ledger,
): Promise<Watch> {
  const [begin, end] = [randomBytes(12).toString('hex'), randomBytes(12).toString('hex')];
  const stop = new Int32Array(new SharedArrayBuffer(4));
  const orders: WatchOrders = { procRoot, pollMs, begin, end, stop, priority: -20, tracePipe: trace?.pipe };
  const watch: Watch = {
    ...{ modeReason, seen: 0, unread: [], refused: new Set(), lost: 0 },
    stop: async () => {
      Atomics.store(stop, 0, 1);
      Atomics.notify(stop, 0);
      try {
        await trace?.mark(end);
        await ended.promise;
        watch.lost = (await trace?.lost()) ?? 0;
        await worker.terminate();
      } finally {
        await trace?.[Symbol.asyncDispose]();
      }
    },
  };
  const running = Promise.withResolvers<string>();
  const ready = Promise.withResolvers<number>();
  const ended = Promise.withResolvers<undefined>();
  const worker = new Worker(threadSource, { eval: true, workerData: orders, env: {}, execArgv: [] });
  worker.on('message', (news: WatchNews) => {
    if (news.type === 'thread') running.resolve(news.id);
    else if (news.type === 'ready') ready.resolve(news.pid);
    else if (news.type === 'end') ended.resolve(undefined);
    else note(watch, ledger, news);
  });
  worker.once('error', (error) => {
    running.reject(error);
    ready.reject(error);
    // What the thread has read until then counts; that it broke off is told.
    watch.refused.add(`the watch broke off (${reasonOf(error)})`);
    ended.resolve(undefined);
  });
  // Whoever does not wait for them any more must not be ended by their failure.
  for (const promise of [running.promise, ready.promise]) promise.catch(() => undefined);
  try {
    const thread = await running.promise;
    if (trace !== undefined) await hurry(thread);
    await trace?.mark(begin);
    const pid = await ready.promise;
    if (trace === undefined || (await isOurs(procRoot, pid))) return watch;
    // In a container the kernel's process ids are not those of our /proc.
    throw new DevstackError({
      code: CredentialAuditErrorCode.traceUnusable,
      message: 'this process has a process namespace of its own',
    });
  } catch (error) {
    await watch.stop();
    throw error;
  }
}

// Real-time for the one thread that only waits and reads: beside busy neighbours even the best niceness comes some milliseconds late.
// Where it is not allowed, or util-linux is missing, more processes end unread, which is counted.
async function hurry(thread: string): Promise<void> {
  await run(['chrt', '--fifo', '--pid', '1', thread.split('/').at(-1) ?? ''], { check: false }).catch(() => undefined);
}

// The thread that wrote the first line, as the kernel counts: one of ours, unless /proc counts otherwise.
async function isOurs(procRoot: string, pid: number): Promise<boolean> {
  return access(join(procRoot, 'self', 'task', String(pid))).then(
    () => true,
    () => false,
  );
}

// The text of the thread is the function's own, so bundles of this package need no second file.
const threadSource = `const { parentPort, workerData } = process.getBuiltinModule('node:worker_threads');
(${watchThread.toString()})(workerData, (news) => { parentPort.postMessage(news); });`;

function note(watch: Watch, ledger: Ledger, news: Extract<WatchNews, { type: 'process' }>): void {
  const { pid, name, cmdline, environ, refused } = news;
  watch.seen += 1;
  if (refused !== undefined) watch.refused.add(`${name} (${refused})`);
  else if (cmdline === undefined) watch.unread.push(name);
  const place = { subject: name, at: `process ${String(pid)} (${name})`, key: name };
  if (cmdline !== undefined) ledger.text({ ...place, surface: 'process-arguments' }, cmdline);
  if (environ !== undefined) ledger.text({ ...place, surface: 'process-environment' }, environ);
}
