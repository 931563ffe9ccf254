import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** True where the process with that number in this `/proc` is the container's own. */
export async function isOfContainer(procRoot: string, pid: number, id: string): Promise<boolean> {
  const read = async (name: string): Promise<string> =>
    readFile(join(procRoot, String(pid), name), 'utf8').catch(() => '');
  // A control group namespace can hide the id; the engine mounts files out of the container's own folder.
  return pid > 0 && ((await read('cgroup')).includes(id) || (await read('mountinfo')).includes(`/containers/${id}/`));
}

/** The TCP ports that something in the process's network namespace listens on, loopback left out: proc(5), `/proc/net/tcp`. */
export async function listeningPorts(procRoot: string, pid: number): Promise<readonly number[]> {
  const tables = await Promise.all(
    ['tcp', 'tcp6'].map((name) => readFile(join(procRoot, String(pid), 'net', name), 'utf8').catch(() => '')),
  );
  const ports = tables.flatMap((table) =>
    table.split('\n').flatMap((line) => {
      const [, local = '', , state] = line.trim().split(/\s+/);
      const [address = '', port = ''] = local.split(':');
      return state === '0A' && !isLoopback(address) ? [Number.parseInt(port, 16)] : [];
    }),
  );
  return [...new Set(ports)];
}

// Words of the address in the machine's byte order, which is little-endian wherever Docker runs.
function isLoopback(address: string): boolean {
  if (address.length === 8) return address.endsWith('7F');
  return /^0{24}01000000$|^0{16}FFFF0000.{6}7F$/.test(address);
}
