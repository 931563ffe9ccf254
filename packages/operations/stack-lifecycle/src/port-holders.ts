import { readFile, readdir, readlink } from 'node:fs/promises';
import { createServer } from 'node:net';
import { basename } from 'node:path';

/** Who listens on a TCP port of this machine, as far as the kernel tells. */
export interface PortHolder {
  readonly port: number;
  /** Process id, or null where the process cannot be seen (another user's). */
  readonly pid: number | null;
  /** Program name, or null likewise. */
  readonly program: string | null;
}

/** Which of these ports cannot be bound on the address now, with their holders. One pass over /proc for all of them. */
export async function findPortHolders(ports: readonly number[], address = '127.0.0.1'): Promise<readonly PortHolder[]> {
  const busy = (
    await Promise.all(ports.map(async (port) => ((await canBind(port, address)) ? undefined : port)))
  ).filter((port) => port !== undefined);
  if (busy.length === 0) return [];
  const inodes = await listeningInodes(new Set(busy));
  const owners = await socketOwners(new Set(inodes.values()));
  return busy.map((port) => {
    const owner = owners.get(inodes.get(port) ?? '');
    return { port, pid: owner?.pid ?? null, program: owner?.program ?? null };
  });
}

async function canBind(port: number, address: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const server = createServer();
  server.once('error', () => {
    resolve(false);
  });
  server.listen({ port, host: address, exclusive: true }, () => {
    server.close(() => {
      resolve(true);
    });
  });
  return promise;
}

// proc(5): /proc/net/tcp; column 1 is the local address, 3 the state (0A is LISTEN), 9 the socket's inode.
async function listeningInodes(ports: ReadonlySet<number>): Promise<Map<number, string>> {
  const found = new Map<number, string>();
  for (const table of ['/proc/net/tcp', '/proc/net/tcp6']) {
    const text = await readFile(table, 'utf8').catch(() => '');
    for (const line of text.split('\n').slice(1)) {
      const columns = line.trim().split(/\s+/);
      const port = Number.parseInt(columns[1]?.split(':').at(-1) ?? '', 16);
      const inode = columns[9];
      if (columns[3] === '0A' && ports.has(port) && inode !== undefined) found.set(port, inode);
    }
  }
  return found;
}

async function socketOwners(inodes: ReadonlySet<string>): Promise<Map<string, { pid: number; program: string }>> {
  const owners = new Map<string, { pid: number; program: string }>();
  const pids = (await readdir('/proc').catch(() => [])).filter((name) => /^\d+$/.test(name));
  for (const pid of pids) {
    if (owners.size === inodes.size) break;
    const descriptors = await readdir(`/proc/${pid}/fd`).catch(() => []);
    const links = await Promise.all(descriptors.map((fd) => readlink(`/proc/${pid}/fd/${fd}`).catch(() => '')));
    for (const link of links) {
      const inode = /^socket:\[(\d+)\]$/.exec(link)?.[1];
      if (inode === undefined || !inodes.has(inode)) continue;
      owners.set(inode, { pid: Number(pid), program: await programOf(pid) });
    }
  }
  return owners;
}

// The program's file; its own word for itself (Node's is MainThread) where that cannot be read.
async function programOf(pid: string): Promise<string> {
  const file = await readlink(`/proc/${pid}/exe`).catch(() => undefined);
  if (file !== undefined) return basename(file.replace(/ \(deleted\)$/, ''));
  return (await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '')).trim();
}
