import { readdir, readlink } from 'node:fs/promises';

/**
 * The processes of this machine that share the process namespace of a container's first one, that one included. Read from /proc
 * as root: `docker top` needs `ps`, which a bare machine does not have.
 */
export async function processesOf(firstPid: number): Promise<readonly number[]> {
  const namespace = await readlink(`/proc/${String(firstPid)}/ns/pid`);
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  // A process may end between the listing and the look.
  const links = await Promise.all(pids.map((pid) => readlink(`/proc/${pid}/ns/pid`).catch(() => '')));
  return pids.filter((_, index) => links[index] === namespace).map(Number);
}
