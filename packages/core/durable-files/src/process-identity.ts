import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';
import process from 'node:process';

/** What names one process for ever: pids are used again, and start again after a reboot or in another pid namespace. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Clock ticks since boot; null where there is no /proc. */
  readonly startTime: string | null;
  readonly bootId: string | null;
  readonly pidNamespace: string | null;
  readonly hostname: string;
}

/** Of this process. */
export function ownIdentity(): ProcessIdentity {
  return {
    pid: process.pid,
    startTime: startTimeOf(process.pid) ?? null,
    bootId: attempt(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()) ?? null,
    pidNamespace: attempt(() => readlinkSync('/proc/self/ns/pid')) ?? null,
    hostname: hostname(),
  };
}

/** Whether that process is certainly gone. A process that this one cannot see (another machine, another pid namespace) counts as alive. */
export function isGone(other: ProcessIdentity, own: ProcessIdentity = ownIdentity()): boolean {
  if (other.hostname === own.hostname && other.bootId !== own.bootId) return true;
  if (other.bootId !== own.bootId || other.pidNamespace !== own.pidNamespace) return false;
  if (own.bootId === null && other.hostname !== own.hostname) return false;
  if (!isProcessAlive(other.pid)) return true;
  return other.startTime !== null && startTimeOf(other.pid) !== other.startTime;
}

/** Whether a process of this pid runs; a zombie does not. */
export function isProcessAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    // EPERM: it is another user's.
    if (!(error instanceof Error && 'code' in error && error.code === 'EPERM')) return false;
  }
  const state = statOf(pid)?.[0];
  return state !== 'Z' && state !== 'X';
}

function startTimeOf(pid: number): string | undefined {
  return statOf(pid)?.[19];
}

// proc(5): the name in parentheses may hold anything, so the fields are counted from behind it.
function statOf(pid: number): string[] | undefined {
  const stat = attempt(() => readFileSync(`/proc/${String(pid)}/stat`, 'utf8'));
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ');
}

function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
