import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';

/** Where the processes of the engine's machine are seen. */
export interface HostProcessesOptions {
  /** `/proc` of that machine. */
  readonly procRoot?: string;
}

// A machine has thousands of processes, and a program may open about a thousand files.
const atOnce = 64;

// Gone, or not for this user: there is nothing to read. Anything else, such as too many open files, would make processes invisible.
const nothingThere = new Set(['ENOENT', 'ESRCH', 'ENOTDIR', 'EACCES', 'EPERM']);

/**
 * The processes of containers as this machine numbers them, lowest first, by the container's id: exec sessions and children included, found
 * by their control groups in one pass over `/proc`, however many containers. A container without an entry has no process that this `/proc`
 * shows: it has ended, or its engine is on another machine. Throws the system's error where a process cannot be looked at for another
 * reason than that it is gone or not for this user.
 */
export async function processesOnHost(
  ids: readonly string[],
  { procRoot = '/proc' }: HostProcessesOptions = {},
): Promise<ReadonlyMap<string, readonly number[]>> {
  const wanted = new Set(ids);
  const found = new Map<string, number[]>();
  if (wanted.size === 0) return found;
  const names = await unlessGone(readdir(procRoot));
  const pids = (names ?? []).filter((name) => /^\d+$/.test(name)).values();
  const lane = async (): Promise<void> => {
    for (const pid of pids) {
      const groups = await unlessGone(readFile(join(procRoot, pid, 'cgroup'), 'utf8'));
      // Drivers and versions differ in what stands around the id: `/docker/<id>`, `/docker-<id>.scope`, `/<slice>/<id>/<own group>`.
      const id = groups?.match(/[0-9a-f]{64}/g)?.find((candidate) => wanted.has(candidate));
      if (id !== undefined) found.set(id, [...(found.get(id) ?? []), Number(pid)]);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, lane));
  return new Map([...found].map(([id, list]) => [id, list.toSorted((a, b) => a - b)]));
}

/**
 * True where the process with that number, which may have been given anew since the engine told it, is of that container. False where this
 * `/proc` is of another machine, and for a process that this user may not look at.
 */
export async function isProcessOf(
  id: string,
  pid: number,
  { procRoot = '/proc' }: HostProcessesOptions = {},
): Promise<boolean> {
  const folder = join(procRoot, String(pid));
  const read = (name: string): Promise<string | undefined> => unlessGone(readFile(join(folder, name), 'utf8'));
  if (pid <= 0) return false;
  if ((await read('cgroup'))?.includes(id) === true) return true;
  // A control group namespace can hide the id; the engine mounts files out of the container's own folder.
  return (await read('mountinfo'))?.includes(`/containers/${id}/`) === true;
}

async function unlessGone<T>(reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading;
  } catch (error) {
    if (nothingThere.has((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
}
