import { tlsOptions, type TlsOptions } from './options.ts';

/** Where a node is. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

/** Where to connect to one node of a cluster, and whose certificate it has to show. */
export interface NodeTarget extends Address {
  readonly tls: ReturnType<typeof tlsOptions>;
}

/**
 * The names in a reply to `CLUSTER SLOTS`, by the address that the cluster calls a node by (`172.20.2.22:6390`). Nodes announce them
 * (`cluster-announce-hostname`); where one has none, it is not in the map.
 */
export function announcedNames(slots: unknown): ReadonlyMap<string, string> {
  const names = new Map<string, string>();
  for (const range of listOf(slots)) {
    for (const node of listOf(range).slice(2)) {
      const [host, port, , metadata] = listOf(node);
      // Pairs: what is said, and its value.
      const words = listOf(metadata).map(String);
      const name = words.find((_word, index) => index % 2 === 1 && words[index - 1] === 'hostname');
      if (name !== undefined && isName(name)) names.set(`${String(host)}:${String(port)}`, name);
    }
  }
  return names;
}

/**
 * Where a node is that the cluster calls by `address`, and its own name to verify: every node has a certificate of its own. A node that
 * announces no name has to prove its address.
 */
export function nodeTarget(
  address: string,
  options: {
    readonly names: ReadonlyMap<string, string>;
    readonly tls: TlsOptions;
    readonly natMap?: Readonly<Record<string, Address>> | undefined;
  },
): NodeTarget {
  const colon = address.lastIndexOf(':');
  const announced = { host: address.slice(0, colon), port: Number(address.slice(colon + 1)) };
  const { ca } = options.tls;
  const servername = options.names.get(address) ?? (isName(announced.host) ? announced.host : undefined);
  const to = options.natMap?.[address] ?? announced;
  return {
    ...to,
    tls: tlsOptions({
      host: to.host,
      tls: { ...(ca === undefined ? {} : { ca }), ...(servername === undefined ? {} : { servername }) },
    }),
  };
}

/** A node that is asked first, by the name or address that it is configured by. */
export function startNode({ host, port }: Address, tls: TlsOptions | false): NodeTarget {
  if (tls === false) return { host, port, tls: undefined };
  return { host, port, tls: tlsOptions({ host, tls: tls.ca === undefined ? {} : { ca: tls.ca } }) };
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** A name, and not an address: what a node has not set is `?` or empty. */
function isName(text: string): boolean {
  return /^[A-Za-z0-9_]([A-Za-z0-9_.-]{0,252}[A-Za-z0-9_])?$/.test(text) && !/^[\d.]+$/.test(text);
}
