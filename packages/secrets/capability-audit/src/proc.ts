import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

/** What the kernel says of one process: proc(5), `/proc/<pid>/status` and `uid_map`. */
export interface ProcessPrivileges {
  /** On the engine's host. */
  readonly pid: number;
  /** The program, cut to 15 characters by the kernel. */
  readonly program: string;
  /** The effective user, as the host numbers it. */
  readonly uid: number;
  readonly effective: bigint;
  readonly permitted: bigint;
  readonly bounding: bigint;
  readonly ambient: bigint;
  readonly noNewPrivileges: boolean;
  /** 0: none, 1: strict, 2: filtered. */
  readonly seccomp: number;
  /** How its users are numbered on the host, `inside outside count` a line; empty where it cannot be read. */
  readonly uidMap: string;
  /** True for an exec with `--privileged`. */
  readonly privilegedExec: boolean;
}

/** What a process can get: with no-new-privileges what it holds, otherwise what a setuid program or file capabilities can give it. */
export function reachableBy(process: ProcessPrivileges): bigint {
  return process.noNewPrivileges ? process.permitted | process.ambient : process.bounding;
}

/** True where its root is not the host's root. */
export function hasUserNamespace({ uidMap }: ProcessPrivileges): boolean {
  return uidMap !== '' && uidMap !== '0 0 4294967295';
}

/** A file system in a container. */
export interface Mount {
  readonly target: string;
  readonly type: string;
  readonly readOnly: boolean;
  readonly options: readonly string[];
}

// A program that an engine starts in a container is the runtime itself for some milliseconds, with all that the host's root has.
const startingNames = /^(runc|crun|youki)(:|$)/;
const startingMs = 1000;

/**
 * A process once the runtime has handed over to the program that it is to be; one that keeps the runtime's name is taken for what it says
 * it has. Undefined for a process that has ended.
 */
export async function readProcess(
  procRoot: string,
  pid: number,
  privilegedPids: ReadonlySet<number>,
): Promise<ProcessPrivileges | undefined> {
  const deadline = performance.now() + startingMs;
  for (;;) {
    const process = await readOnce(procRoot, pid, privilegedPids);
    if (process === undefined || !startingNames.test(process.program) || performance.now() > deadline) return process;
    await delay(10);
  }
}

async function readOnce(
  procRoot: string,
  pid: number,
  privilegedPids: ReadonlySet<number>,
): Promise<ProcessPrivileges | undefined> {
  const folder = join(procRoot, String(pid));
  const [status, uidMap] = await Promise.all([readText(join(folder, 'status')), readText(join(folder, 'uid_map'))]);
  if (status === undefined || status === '') return undefined;
  const field = (name: string): string => new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(status)?.[1] ?? '';
  const mask = (name: string): bigint => BigInt(`0x${field(name) === '' ? '0' : field(name)}`);
  // A process that has ended and was not waited for has no capability sets that mean anything.
  if (field('State').startsWith('Z') || field('State').startsWith('X')) return undefined;
  return {
    pid,
    program: field('Name'),
    uid: Number(field('Uid').split(/\s+/)[1] ?? 0),
    effective: mask('CapEff'),
    permitted: mask('CapPrm'),
    bounding: mask('CapBnd'),
    ambient: mask('CapAmb'),
    noNewPrivileges: field('NoNewPrivs') === '1',
    seccomp: Number(field('Seccomp')),
    uidMap: (uidMap ?? '').trim().replaceAll(/[ \t]+/g, ' '),
    privilegedExec: privilegedPids.has(pid),
  };
}

/** What is mounted where for a process; undefined where this user may not know. */
export async function readMounts(procRoot: string, pid: number): Promise<readonly Mount[] | undefined> {
  const text = await readText(join(procRoot, String(pid), 'mountinfo'));
  if (text === undefined || text === '') return undefined;
  return text
    .trimEnd()
    .split('\n')
    .map((line) => {
      const [before = '', after = ''] = line.split(' - ');
      const [, , , , target = '', options = ''] = before.split(' ');
      const [type = '', , superOptions = ''] = after.split(' ');
      const all = options.split(',');
      return { target, type, readOnly: all.includes('ro'), options: [...all, ...superOptions.split(',')] };
    });
}

// Gone, or not for this user: for the reader of a running system both mean that there is nothing to read. Anything else, such as too many
// open files, would make processes invisible, and so is thrown.
const nothingThere = new Set(['ENOENT', 'ESRCH', 'ENOTDIR', 'EACCES', 'EPERM']);

// A machine has thousands of processes, and a program may open about a thousand files.
let free = 64;
const waiting: (() => void)[] = [];

async function readText(path: string): Promise<string | undefined> {
  if (free > 0) free -= 1;
  else await new Promise<void>((resolve) => waiting.push(resolve));
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (nothingThere.has((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  } finally {
    const next = waiting.shift();
    if (next === undefined) free += 1;
    else next();
  }
}
