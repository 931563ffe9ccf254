import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

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
