import type { Finding, FindingLocation } from '@devstack-core/audit-report';
import { finding } from './findings.ts';
import { brokenPorts, isUndeclared, pathOf, sharedHomes, type MatrixCell, type Node } from './matrix.ts';
import { addressesOf, homeOf, type DeclaredNetworks } from './members.ts';
import type { DeclaredPaths } from './paths.ts';
import type { ProbeAnswer } from './probe-script.ts';

/** Where the networks of a service are written. */
export type PlaceOf = (service: string) => FindingLocation | undefined;

/** What the matrix says against the declared paths: one finding a pair. */
export function pathFindings(
  matrix: readonly MatrixCell[],
  nodes: readonly Node[],
  paths: DeclaredPaths,
  place: PlaceOf,
): readonly Finding[] {
  const bySubject = new Map(nodes.map((node) => [node.subject, node]));
  const pairs = Map.groupBy(matrix, ({ from, to }) => JSON.stringify([from, to]));
  return [...pairs.values()].flatMap((cells): Finding[] => {
    const [first] = cells;
    const source = bySubject.get(first?.from ?? '');
    const target = bySubject.get(first?.to ?? '');
    if (source === undefined || target === undefined) return [];
    const found: Finding[] = [];
    const open = cells.filter(isUndeclared);
    if (open.length > 0) {
      const answers = open.map(({ address, port, via, network, can }) => {
        const where = via === 'gateway' ? ` (the host, in ${network})` : ` (${network})`;
        return `${address}:${String(port)}${where}${can === 'refused' ? ' refuses, so packets get there' : ''}`;
      });
      found.push(
        finding(
          'network-path-undeclared',
          source.subject,
          `It reaches ${target.subject} at ${listed(answers)}, which is declared nowhere.`,
          {
            key: target.subject,
            location: place(source.service),
            ...(open.some(({ can }) => can === 'open') ? {} : { severity: 'medium' as const }),
          },
        ),
      );
    }
    for (const port of brokenPorts(cells)) {
      const path = pathOf(source, target, port, paths);
      const said = cells.filter((cell) => cell.port === port && cell.may === 'required');
      const answers = said.map(
        ({ address, detail }) => `${address}: ${detail === 'ECONNREFUSED' ? 'nothing listens' : 'no answer'}`,
      );
      found.push(
        finding(
          'network-path-broken',
          source.subject,
          `It cannot reach ${target.subject} on port ${String(port)} (${listed(answers)}), which it needs: ${path?.reason ?? ''}`,
          {
            key: `${target.subject} ${String(port)}`,
            location: path === undefined ? undefined : { file: paths.file, line: path.line },
          },
        ),
      );
    }
    return found;
  });
}

/** Names that resolve where they should not, or do not where they are needed. `names` are those of the answer, in its order. */
export function nameFindings(
  source: Node,
  names: readonly string[],
  answers: ProbeAnswer['names'],
  nodes: readonly Node[],
  paths: DeclaredPaths,
  place: PlaceOf,
): readonly Finding[] {
  return names.flatMap((name, index): Finding[] => {
    const answer = answers[index] ?? 'error';
    const targets = nodes.filter((node) => node.service === name);
    const isTheirs = (address: string): boolean =>
      targets.some((target) => addressesOf(target).some((one) => one.address === address));
    // An address that is none of theirs came from a resolver outside: another one of that name.
    const resolved = Array.isArray(answer) ? answer.filter(isTheirs) : [];
    const needed = paths.allow.some(({ from, to }) => from === source.service && to === name);
    const isNear = targets.some((target) => sharedHomes(source, target).length > 0);
    if (resolved.length > 0 && !needed && !isNear)
      return [
        finding(
          'network-name-undeclared',
          source.subject,
          `The name ${name} resolves to ${resolved.join(', ')} in it, and it has no declared path there.`,
          {
            key: name,
            location: place(source.service),
          },
        ),
      ];
    // Without the engine's resolver (the default bridge) there are no names at all.
    const hasResolver = answer !== 'ECONNREFUSED';
    if (resolved.length === 0 && needed && isNear && hasResolver)
      return [
        finding('network-name-missing', source.subject, `The name ${name} does not resolve in it.`, {
          key: name,
          location: place(source.service),
        }),
      ];
    return [];
  });
}

/** Where containers are, against where they are declared to be. */
export function membershipFindings(nodes: readonly Node[], place: PlaceOf): readonly Finding[] {
  return nodes.flatMap((node) => {
    const { declaredNetworks, networks, subject, service } = node;
    if (declaredNetworks === undefined) return [];
    const actual = Object.keys(networks);
    const location = place(service);
    return [
      ...actual
        .filter((name) => !declaredNetworks.includes(name))
        .map((name) =>
          finding(
            'network-joined-undeclared',
            subject,
            `It is in the network ${name}, which its declaration does not have.`,
            { key: name, location },
          ),
        ),
      ...declaredNetworks
        .filter((name) => !actual.includes(name))
        .map((name) =>
          finding('network-not-joined', subject, `It is not in the network ${name} of its declaration.`, {
            key: name,
            location,
          }),
        ),
    ];
  });
}

/** Rules that permit nothing. */
export function unusedRules(
  nodes: readonly Node[],
  paths: DeclaredPaths,
  compose: DeclaredNetworks | undefined,
): readonly Finding[] {
  const homes =
    compose?.services.map(({ name, networks }) => ({ name, home: networks.map((leg) => leg.name) })) ??
    nodes.map((node) => ({ name: node.subject, home: homeOf(node) }));
  const networks = paths.networks.flatMap(({ name, line }) => {
    const members = homes.filter(({ home }) => home.includes(name));
    return members.length > 1 ? [] : [{ what: `network ${name}`, line, why: 'it has fewer than two members' }];
  });
  const allow = paths.allow.flatMap(({ from, to, ports, line }) => {
    const targets = nodes.filter(({ service }) => service === to);
    const isNeedless =
      ports === undefined && targets.length > 0 && targets.every((target) => target.ports.length === 0);
    return isNeedless ? [{ what: `${from} to ${to}`, line, why: `${to} has no port` }] : [];
  });
  return [...networks, ...allow].map(({ what, line, why }) => unused(paths, what, line, why));
}

/** An entry that nobody needs. */
export function unused(paths: DeclaredPaths, what: string, line: number, why: string): Finding {
  const location = { file: paths.file, line };
  return finding('network-paths-entry-unused', what, `The entry permits nothing: ${why}.`, { location });
}

function listed(items: readonly string[]): string {
  return items.length > 6 ? `${items.slice(0, 6).join(', ')} and ${String(items.length - 6)} more` : items.join(', ');
}
