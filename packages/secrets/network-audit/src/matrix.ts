import type { DeclaredPath, DeclaredPaths } from './paths.ts';
import { addressesOf, homeOf, type Member } from './members.ts';

/** A member with what was learnt of it. */
export interface Node extends Member {
  /** The service; with the container's id where a service has several. */
  readonly subject: string;
}

/** One address and port of a service, as another one may and can reach it. */
export interface MatrixCell {
  readonly from: string;
  readonly to: string;
  readonly address: string;
  readonly port: number;
  /** The network of the address; for a gateway, the network that it is the gateway of. */
  readonly network: string;
  /** `gateway`: the host's address in a network, where a published port would answer. */
  readonly via: 'address' | 'gateway';
  /** `required` by a path, `permitted` by a rule for the network, otherwise `forbidden`. */
  readonly may: 'required' | 'permitted' | 'forbidden';
  /** `refused`: the address answered, and nothing listens there. */
  readonly can: 'open' | 'refused' | 'closed' | 'unknown';
  /** The system's word for it. */
  readonly detail: string;
}

/** A cell before it was tried. */
export type PlannedCell = Omit<MatrixCell, 'can' | 'detail'>;

/** The host's address in a network. */
export interface Gateway {
  readonly network: string;
  readonly address: string;
}

/** Everything that one service is to try of all others: each of their ports at each of their addresses, and what is published at the gateways. */
export function planFrom(
  source: Node,
  nodes: readonly Node[],
  paths: DeclaredPaths,
  gateways: readonly Gateway[],
): readonly PlannedCell[] {
  const others = nodes.filter(({ containerId }) => containerId !== source.containerId);
  return others.flatMap((target) => {
    const cell = { from: source.subject, to: target.subject };
    const direct = addressesOf(target).flatMap(({ network, address }) =>
      portsOf(target, paths).map((port) => {
        return {
          ...cell,
          address,
          port,
          network,
          via: 'address' as const,
          may: mayReach(source, target, network, port, paths),
        };
      }),
    );
    const ports = [...new Set((target.published ?? []).map(({ hostPort }) => hostPort))];
    const around = gateways.flatMap(({ network, address }) =>
      ports.map((port) => {
        return { ...cell, address, port, network, via: 'gateway' as const, may: mayTalk(source, target, paths) };
      }),
    );
    return [...direct, ...around];
  });
}

/** The path that demands this, if one does. */
export function pathOf(source: Member, target: Member, port: number, paths: DeclaredPaths): DeclaredPath | undefined {
  return paths.allow.find(
    ({ from, to, ports }) => from === source.service && to === target.service && (ports?.includes(port) ?? true),
  );
}

/** The networks in which both are meant to be. */
export function sharedHomes(source: Member, target: Member): readonly string[] {
  return homeOf(source).filter((network) => homeOf(target).includes(network));
}

function portsOf(target: Member, paths: DeclaredPaths): readonly number[] {
  const named = paths.allow.flatMap(({ to, ports }) => (to === target.service ? (ports ?? []) : []));
  return [...new Set([...target.ports, ...named])].toSorted((a, b) => a - b);
}

function mayReach(
  source: Member,
  target: Member,
  network: string,
  port: number,
  paths: DeclaredPaths,
): MatrixCell['may'] {
  const shared = sharedHomes(source, target);
  // Two that share a network meet there; an address of the other elsewhere is a way around. Without one, any way was meant.
  const isMeetingPlace = shared.length === 0 || shared.includes(network);
  if (isMeetingPlace && pathOf(source, target, port, paths) !== undefined) return 'required';
  const isRuled = shared.includes(network) && paths.networks.some(({ name }) => name === network);
  return isRuled ? 'permitted' : 'forbidden';
}

// What is published at a gateway is one more door to a service, of which only strangers matter.
function mayTalk(source: Member, target: Member, paths: DeclaredPaths): MatrixCell['may'] {
  const isNamed = paths.allow.some(({ from, to }) => from === source.service && to === target.service);
  const isRuled = sharedHomes(source, target).some((network) => paths.networks.some(({ name }) => name === network));
  return isNamed || isRuled ? 'permitted' : 'forbidden';
}

/** What a system's word means. A refusal of a gateway is the host's own. */
export function canOf(detail: string, via: MatrixCell['via']): MatrixCell['can'] {
  if (detail === 'open') return 'open';
  if (detail === 'ECONNREFUSED') return via === 'gateway' ? 'closed' : 'refused';
  // EPERM and EACCES: a packet filter of the machine that rejects.
  return ['silent', 'ETIMEDOUT', 'EHOSTUNREACH', 'ENETUNREACH', 'ECONNRESET', 'EPERM', 'EACCES'].includes(detail)
    ? 'closed'
    : 'unknown';
}

/** The matrix as a table: one row a source, one column a target. */
export interface RenderedMatrix {
  readonly columns: readonly string[];
  readonly rows: readonly { readonly from: string; readonly cells: readonly string[] }[];
  /** What the words in the cells mean. */
  readonly legend: Readonly<Record<string, string>>;
}

const legend = {
  path: 'a declared path, open',
  open: 'open, and permitted by the rule of a network',
  '-': 'closed, as it is to be',
  BROKEN: 'a declared path that is closed',
  OPEN: 'open, and declared nowhere',
  '?': 'not checked',
  '': 'itself',
} as const;

/** One word for each pair, the worst of its cells. */
export function renderMatrix(matrix: readonly MatrixCell[]): RenderedMatrix {
  const names = [...new Set(matrix.flatMap(({ from, to }) => [from, to]))].toSorted();
  const pairs = Map.groupBy(matrix, ({ from, to }) => JSON.stringify([from, to]));
  return {
    columns: names,
    rows: names.map((from) => ({
      from,
      cells: names.map((to) =>
        from === to && !pairs.has(JSON.stringify([from, to]))
          ? ''
          : wordFor(pairs.get(JSON.stringify([from, to])) ?? []),
      ),
    })),
    legend,
  };
}

function wordFor(cells: readonly MatrixCell[]): keyof typeof legend {
  if (cells.length === 0) return '?';
  if (cells.some(isUndeclared)) return 'OPEN';
  if (brokenPorts(cells).length > 0) return 'BROKEN';
  if (cells.some(({ can }) => can === 'unknown')) return '?';
  if (cells.some(({ may }) => may === 'required')) return 'path';
  return cells.some(({ can }) => can === 'open') ? 'open' : '-';
}

/** True for what answers and is declared nowhere; a refusal is an answer too. */
export function isUndeclared({ may, can }: MatrixCell): boolean {
  return may === 'forbidden' && (can === 'open' || can === 'refused');
}

/** The ports that must be open and are not, at any address. Cells of one pair. */
export function brokenPorts(cells: readonly MatrixCell[]): readonly number[] {
  const required = Map.groupBy(
    cells.filter(({ may }) => may === 'required'),
    ({ port }) => port,
  );
  return [...required].flatMap(([port, all]) =>
    all.some(({ can }) => can === 'open' || can === 'unknown') ? [] : [port],
  );
}
