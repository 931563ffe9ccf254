import { isAbsolute, relative, sep } from 'node:path';
import { auditReport, toolOf, type AuditReport, type NotChecked } from '@devstack-core/audit-report';
import { isProcessOf, type ContainerDetails, type DockerEngine } from '@devstack-core/docker-engine';
import { abortReason, isDevstackError } from '@devstack-core/errors';
import { membershipFindings, nameFindings, pathFindings, unusedRules, type PlaceOf } from './judge.ts';
import { canOf, planFrom, type Gateway, type MatrixCell, type Node, type PlannedCell } from './matrix.ts';
import type { DeclaredNetworks, Member } from './members.ts';
import { listeningPorts } from './namespace.ts';
import {
  egressFindings,
  publishedFindings,
  publishedTargets,
  tryFromHost,
  type EgressTarget,
  type EgressTrial,
} from './outside.ts';
import { checkNames, type DeclaredPaths } from './paths.ts';
import { probeFrom, type ProbeMethod, type ProbeSetting } from './probe.ts';
import type { ProbeAnswer, ProbeJob } from './probe-script.ts';

/** What is looked at, and what it is held against. */
export interface AuditNetworkOptions {
  readonly engine: Pick<DockerEngine, 'endpoint' | 'inspectContainer' | 'listNetworks' | 'exec' | 'runEphemeral'>;
  readonly members: readonly Member[];
  readonly paths: DeclaredPaths;
  /** For the names of services that do not run, and for the lines of findings. */
  readonly compose?: DeclaredNetworks;
  /** Paths of findings become relative to it. */
  readonly root?: string;
  /** Service to whether it may reach the outside world; wins over the paths. */
  readonly egress?: Readonly<Record<string, boolean>>;
  /** Addresses outside that answer; an empty list leaves egress out on purpose. */
  readonly egressTargets?: readonly EgressTarget[];
  /** `auto` takes the first that works: nsenter (root, local engine), exec (Node in the container), container (`image`). */
  readonly probe?: 'auto' | ProbeMethod;
  /** An image with Node, for probes in a container of their own. */
  readonly image?: string;
  /** How long an address may take to answer; 750 unless given. Needed paths that are silent are tried again with four times that. */
  readonly timeoutMs?: number;
  /** `/proc` of the engine's host. */
  readonly procRoot?: string;
  readonly signal?: AbortSignal;
}

/** What an audit found, every cell behind it, and how each service was looked from. */
export interface NetworkAudit {
  readonly report: AuditReport;
  readonly matrix: readonly MatrixCell[];
  readonly methods: Readonly<Record<string, ProbeMethod>>;
}

/**
 * From inside the network namespace of each service, tries every port of every other at each of its addresses, and its published ports at the
 * gateways; asks for all names; tries to get out; and holds all of it against the declared paths. What could not be tried is in
 * `report.notChecked`. Throws NETWORK_PATHS_INVALID for names that there are not, INTERRUPTED, and what the engine throws where it does not answer.
 */
export async function auditNetwork(options: AuditNetworkOptions): Promise<NetworkAudit> {
  const startedAt = new Date();
  const { paths, compose, timeoutMs = 750, egressTargets, signal } = options;
  const early = abortReason(signal, 'the audit of networks');
  if (early !== undefined) throw early;
  checkNames(paths, knownNames(options));
  const { nodes, containers, notChecked } = await look(options);
  const gateways = await gatewaysOf(options, containers);
  const place = placer(options);
  const names = [...new Set(nodes.map(({ service }) => service))];
  const isLocal = options.engine.endpoint.startsWith('unix:');
  const published = isLocal ? publishedTargets(nodes) : [];
  const onHost = [...(isLocal ? (egressTargets ?? []) : []), ...published];
  const [looks, fromHost] = await Promise.all([
    inPool(nodes, (node) => lookFrom(node, { ...options, timeoutMs, nodes, gateways, names, containers })),
    tryFromHost(onHost, timeoutMs * 4, signal),
  ]);
  const seen = looks.filter((one) => 'cells' in one);
  const matrix = seen.flatMap(({ cells }) => cells);
  const hostEgress = isLocal ? fromHost.slice(0, egressTargets?.length ?? 0) : [];
  const trials: readonly EgressTrial[] = seen.map(({ node, egress }) => ({ node, results: egress }));
  const outside =
    egressTargets === undefined
      ? { findings: [], notChecked: [{ subject: 'egress', reason: 'no address outside was named to try' }] }
      : egressTargets.length === 0
        ? { findings: [], notChecked: [] }
        : egressFindings({
            trials,
            fromHost: hostEgress,
            targets: egressTargets,
            paths,
            egress: options.egress ?? {},
            place,
          });
  return {
    report: auditReport({
      tool: toolOf('network-audit', import.meta.url),
      startedAt,
      findings: [
        ...pathFindings(matrix, nodes, paths, place),
        ...seen.flatMap(({ node, names: asked, answers }) => nameFindings(node, asked, answers, nodes, paths, place)),
        ...membershipFindings(nodes, place),
        ...unusedRules(nodes, paths, compose),
        ...outside.findings,
        ...publishedFindings(published, fromHost.slice(fromHost.length - published.length)),
      ],
      notChecked: [
        ...notChecked,
        ...looks.flatMap((one) =>
          'failed' in one ? [{ subject: one.node.subject, reason: `no probe from inside: ${one.failed}` }] : [],
        ),
        ...matrix
          .filter(({ can }) => can === 'unknown')
          .map(({ from, to, address, port, detail }) => ({
            subject: from,
            reason: `${to} at ${address}:${String(port)}: ${detail}`,
          })),
        ...outside.notChecked,
        ...(isLocal || !nodes.some((node) => (node.published ?? []).length > 0)
          ? []
          : [{ subject: 'published ports', reason: 'the engine is not on this machine' }]),
      ],
      checkedCount: new Set(matrix.map(({ from, to }) => JSON.stringify([from, to]))).size,
    }),
    matrix,
    methods: Object.fromEntries(seen.map(({ node, method }) => [node.subject, method])),
  };
}

interface Look {
  readonly node: Node;
  readonly method: ProbeMethod;
  readonly cells: readonly MatrixCell[];
  readonly names: readonly string[];
  readonly answers: ProbeAnswer['names'];
  readonly egress: readonly string[];
}

type LookOptions = AuditNetworkOptions & {
  readonly timeoutMs: number;
  readonly nodes: readonly Node[];
  readonly gateways: readonly Gateway[];
  readonly names: readonly string[];
  readonly containers: ReadonlyMap<string, ContainerDetails>;
};

async function lookFrom(
  node: Node,
  options: LookOptions,
): Promise<Look | { readonly node: Node; readonly failed: string }> {
  const { nodes, paths, gateways, egressTargets = [], timeoutMs, procRoot = '/proc', probe = 'auto' } = options;
  const container = options.containers.get(node.containerId);
  if (container === undefined) return { node, failed: 'it is gone' };
  const plan = planFrom(node, nodes, paths, gateways);
  const names = options.names.filter((name) => name !== node.service);
  const setting: ProbeSetting = { engine: options.engine, probe, procRoot, ...pick(options) };
  const outside = egressTargets.map(({ host, port }) => [host, port] as const);
  const job: ProbeJob = {
    targets: [...plan.map(({ address, port }) => [address, port] as const), ...outside],
    names,
    timeoutMs,
  };
  const first = await probeFrom(container, job, setting);
  if ('failed' in first) return { node, failed: first.failed };
  const { targets, names: answers } = first.answer;
  // A needed path gets more time before it is called broken; the others are to be silent.
  const again = plan.flatMap(({ may }, index) => (may === 'required' && targets[index] === 'silent' ? [index] : []));
  const results = [...targets];
  if (again.length > 0) {
    const targetsAgain = again.flatMap((index) => job.targets.slice(index, index + 1));
    const retry = { targets: targetsAgain, names: [], timeoutMs: timeoutMs * 4 };
    const second = await probeFrom(container, retry, { ...setting, probe: first.method });
    if (!('failed' in second))
      for (const [position, index] of again.entries()) results[index] = second.answer.targets[position] ?? 'silent';
  }
  return {
    node,
    method: first.method,
    cells: plan.map((cell: PlannedCell, index) => ({
      ...cell,
      can: canOf(results[index] ?? '', cell.via),
      detail: results[index] ?? '',
    })),
    names,
    answers,
    egress: results.slice(plan.length),
  };
}

function pick({ image, signal }: AuditNetworkOptions): Pick<ProbeSetting, 'image' | 'signal'> {
  return { ...(image === undefined ? {} : { image }), ...(signal === undefined ? {} : { signal }) };
}

// Members that run, with the ports that they really listen on where this /proc shows them.
async function look({ engine, members, procRoot = '/proc' }: AuditNetworkOptions): Promise<{
  readonly nodes: readonly Node[];
  readonly containers: ReadonlyMap<string, ContainerDetails>;
  readonly notChecked: readonly NotChecked[];
}> {
  const counts = Map.groupBy(members, ({ service }) => service);
  const looked = await Promise.all(
    members.map(async (member): Promise<{ node: Node; container: ContainerDetails } | NotChecked> => {
      const { service, containerId, notRunning } = member;
      const several = (counts.get(service)?.length ?? 0) > 1;
      const subject = several ? `${service} (${containerId.slice(0, 12)})` : service;
      if (notRunning !== undefined) return { subject, reason: notRunning };
      try {
        const container = await engine.inspectContainer(containerId);
        if (!container.state.running) return { subject, reason: `it is ${container.state.status}` };
        const { pid } = container.state;
        const listening = (await isProcessOf(container.id, pid, { procRoot }))
          ? await listeningPorts(procRoot, pid)
          : [];
        return { node: { ...member, subject, ports: [...new Set([...member.ports, ...listening])] }, container };
      } catch (error) {
        if (!isDevstackError(error, 'CONTAINER_NOT_FOUND')) throw error;
        return { subject, reason: 'there is no such container, or not any more' };
      }
    }),
  );
  const found = looked.filter((one) => 'node' in one);
  return {
    nodes: found.map(({ node }) => node),
    containers: new Map(found.map(({ node, container }) => [node.containerId, container])),
    notChecked: looked.filter((one) => 'reason' in one),
  };
}

async function gatewaysOf(
  { engine, compose }: AuditNetworkOptions,
  containers: ReadonlyMap<string, ContainerDetails>,
): Promise<readonly Gateway[]> {
  const used = new Set(
    [...containers.values()].flatMap(({ networks }) => Object.values(networks).map(({ networkId }) => networkId)),
  );
  const all = await engine.listNetworks();
  const nameOf = (engineName: string): string =>
    compose?.networks.find((network) => network.engineName === engineName)?.name ?? engineName;
  return all
    .filter(({ id }) => used.has(id))
    .flatMap(({ name, gateways }) =>
      gateways.map((address) => ({ network: nameOf(name), address: address.split('/')[0] ?? address })),
    );
}

function knownNames({ members, compose }: AuditNetworkOptions): {
  services: readonly string[];
  networks: readonly string[];
} {
  return {
    services: [
      ...new Set([...(compose?.services ?? []).map(({ name }) => name), ...members.map(({ service }) => service)]),
    ],
    networks: [
      ...new Set([
        ...(compose?.networks ?? []).map(({ name }) => name),
        ...members.flatMap((member) => Object.keys(member.networks)),
      ]),
    ],
  };
}

function placer({ compose, root }: AuditNetworkOptions): PlaceOf {
  return (service) => {
    if (compose?.services.every(({ name }) => name !== service) ?? true) return undefined;
    const at = compose?.locate(['services', service, 'networks']);
    if (at === undefined) return undefined;
    const inside = root === undefined ? '..' : relative(root, at.file);
    return {
      file: inside.startsWith('..') || isAbsolute(inside) ? at.file : inside.split(sep).join('/'),
      line: at.line,
    };
  };
}

// Enough at once that all wait together, not so many that a large stack starts a hundred programs.
const poolSize = 16;

async function inPool<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<readonly R[]> {
  const results: R[] = [];
  const queue = items.entries();
  await Promise.all(
    Array.from({ length: Math.min(poolSize, items.length) }, async () => {
      for (const [index, item] of queue) results[index] = await work(item);
    }),
  );
  return results;
}
