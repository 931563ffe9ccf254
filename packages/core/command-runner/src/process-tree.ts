import { readFileSync, readdirSync } from 'node:fs';
import process from 'node:process';
import { setTimeout as delay } from 'node:timers/promises';

interface ProcessEntry {
  readonly pid: number;
  readonly parent: number;
  /** In clock ticks since boot: together with the pid it names one process for ever. */
  readonly startTime: string;
}

/**
 * Ends a process, its group and all of its descendants: SIGTERM first, SIGKILL after the grace. Resolves when none is left.
 * Descendants are found in /proc, so those that left the group are ended, too; elsewhere than on Linux the group has to do.
 */
export async function killTree(pid: number, graceMs: number): Promise<void> {
  const tree = new Map<number, ProcessEntry>();
  collect(pid, tree);
  signalTree(pid, tree, 'SIGTERM');
  const deadline = performance.now() + graceMs;
  while (performance.now() < deadline) {
    if (!isAlive(pid, tree)) return;
    await delay(10);
  }
  // A process that ignores SIGTERM may have started others meanwhile.
  for (let round = 0; round < 100 && isAlive(pid, tree); round += 1) {
    collect(pid, tree);
    signalTree(pid, tree, 'SIGKILL');
    await delay(10);
  }
}

/** Ends the group at once; for the moment in which this process itself goes. */
export function killGroupNow(pid: number): void {
  send(-pid, 'SIGKILL');
}

function collect(root: number, tree: Map<number, ProcessEntry>): void {
  const all = processes();
  const children = Map.groupBy(all, (entry) => entry.parent);
  const current = new Map(all.map((entry) => [entry.pid, entry]));
  const pending = [
    root,
    ...[...tree.values()]
      .filter((entry) => current.get(entry.pid)?.startTime === entry.startTime)
      .map((entry) => entry.pid),
  ];
  for (let pid = pending.pop(); pid !== undefined; pid = pending.pop()) {
    for (const child of children.get(pid) ?? []) {
      if (tree.get(child.pid)?.startTime === child.startTime) continue;
      tree.set(child.pid, child);
      pending.push(child.pid);
    }
  }
}

function signalTree(root: number, tree: ReadonlyMap<number, ProcessEntry>, signal: NodeJS.Signals): void {
  send(-root, signal);
  for (const entry of tree.values()) {
    if (readEntry(entry.pid)?.startTime === entry.startTime) send(entry.pid, signal);
  }
}

function isAlive(root: number, tree: ReadonlyMap<number, ProcessEntry>): boolean {
  if (groupHasMembers(root)) return true;
  return [...tree.values()].some((entry) => readEntry(entry.pid)?.startTime === entry.startTime);
}

// A group that holds only zombies still answers to signal 0, hence the look at /proc where there is one.
function groupHasMembers(group: number): boolean {
  if (!send(-group, 0)) return false;
  const members = processIds().map((pid) => readStat(pid));
  if (members.length === 0) return true;
  return members.some((fields) => fields !== undefined && Number(fields[2]) === group && isRunning(fields));
}

function processes(): ProcessEntry[] {
  return processIds().flatMap((pid) => readEntry(pid) ?? []);
}

function processIds(): number[] {
  try {
    return readdirSync('/proc').flatMap((name) => (/^\d+$/.test(name) ? [Number(name)] : []));
  } catch {
    return [];
  }
}

function readEntry(pid: number): ProcessEntry | undefined {
  const fields = readStat(pid);
  if (fields === undefined || !isRunning(fields)) return undefined;
  return { pid, parent: Number(fields[1]), startTime: fields[19] ?? '' };
}

// proc(5): the name in parentheses may hold anything, so the fields are counted from behind it: state, ppid, pgrp, …, starttime.
function readStat(pid: number): string[] | undefined {
  try {
    const stat = readFileSync(`/proc/${String(pid)}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined;
  }
}

function isRunning(fields: readonly string[]): boolean {
  return fields[0] !== 'Z' && fields[0] !== 'X';
}

function send(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    process.kill(pid, signal);
    return true;
  } catch {
    return false;
  }
}
