import { suggestion } from '@devstack-core/compose-project';
import { invalidPaths, readListsWithLines, type EntryReader } from './read-yaml.ts';

/** A path that is needed, and so must be open. */
export interface DeclaredPath {
  readonly from: string;
  readonly to: string;
  /** All ports of `to` where missing. */
  readonly ports?: readonly number[];
  readonly reason: string;
  readonly line: number;
}

/** A network whose members may talk to each other. It permits; what is needed is a path. */
export interface NetworkRule {
  /** As the compose file names it; without one, as the engine does. */
  readonly name: string;
  readonly reason: string;
  readonly line: number;
}

/** A service that may reach the outside world. */
export interface EgressRule {
  readonly service: string;
  readonly reason: string;
  readonly line: number;
}

/** What may talk to what. Everything else is to be unreachable. */
export interface DeclaredPaths {
  /** For messages and locations. */
  readonly file: string;
  readonly allow: readonly DeclaredPath[];
  readonly networks: readonly NetworkRule[];
  readonly egress: readonly EgressRule[];
}

/**
 * Reads declared paths: YAML with the lists `networks` ({name, reason}), `allow` ({from, to, ports?, reason}) and `egress`
 * ({service, reason}). Throws NETWORK_PATHS_INVALID with file and line.
 */
export function parseNetworkPaths(text: string, file: string): DeclaredPaths {
  const lists = readListsWithLines(text, file, {
    networks: ['name', 'reason'],
    allow: ['from', 'to', 'ports', 'reason'],
    egress: ['service', 'reason'],
  });
  const paths = {
    file,
    networks: lists.networks.map((entry) => ({ name: entry.text('name'), ...why(entry) })),
    allow: lists.allow.map((entry) => {
      const ports = entry.numbers('ports', 1, 65_535);
      return {
        from: entry.text('from'),
        to: entry.text('to'),
        ...(ports === undefined ? {} : { ports }),
        ...why(entry),
      };
    }),
    egress: lists.egress.map((entry) => ({ service: entry.text('service'), ...why(entry) })),
  };
  refuseTwice(file, paths.networks, ({ name }) => `network ${name}`);
  refuseTwice(file, paths.egress, ({ service }) => `egress of ${service}`);
  refuseTwice(
    file,
    paths.allow,
    ({ from, to, ports }) => `${from} to ${to}${ports === undefined ? '' : ` on ${ports.join(', ')}`}`,
  );
  return paths;
}

/** What there is, to find typos. */
export interface KnownNames {
  readonly services: readonly string[];
  readonly networks: readonly string[];
}

/** Throws NETWORK_PATHS_INVALID for a service or network that there is not. */
export function checkNames(paths: DeclaredPaths, known: KnownNames): void {
  const check = (kind: 'service' | 'network', name: string, line: number): void => {
    const names = kind === 'service' ? known.services : known.networks;
    if (!names.includes(name))
      throw invalidPaths(
        { file: paths.file, line },
        `there is no ${kind} ${JSON.stringify(name)}`,
        suggestion(name, names),
      );
  };
  for (const { name, line } of paths.networks) check('network', name, line);
  for (const { service, line } of paths.egress) check('service', service, line);
  for (const { from, to, line } of paths.allow) {
    check('service', from, line);
    check('service', to, line);
  }
}

function why(entry: EntryReader): { readonly reason: string; readonly line: number } {
  return { reason: entry.text('reason'), line: entry.line };
}

function refuseTwice<T extends { readonly line: number }>(
  file: string,
  all: readonly T[],
  keyOf: (entry: T) => string,
): void {
  const seen = new Map<string, number>();
  for (const entry of all) {
    const first = seen.get(keyOf(entry));
    if (first !== undefined)
      throw invalidPaths({ file, line: entry.line }, `${keyOf(entry)} is listed in line ${String(first)} already`);
    seen.set(keyOf(entry), entry.line);
  }
}
