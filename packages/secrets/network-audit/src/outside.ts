import type { Finding, NotChecked } from '@devstack-core/audit-report';
import { run } from '@devstack-core/command-runner';
import { finding } from './findings.ts';
import { unused, type PlaceOf } from './judge.ts';
import type { Node } from './matrix.ts';
import type { DeclaredPaths } from './paths.ts';
import { probeScript, type ProbeAnswer } from './probe-script.ts';

/** An address outside that answers, to see whether a service gets out. */
export interface EgressTarget {
  readonly host: string;
  readonly port: number;
}

/** What one service said of the targets outside. */
export interface EgressTrial {
  readonly node: Node;
  /** In the order of the targets. */
  readonly results: readonly string[];
}

/** Tries addresses from this machine itself: what does not answer here proves nothing when it does not answer there. */
export async function tryFromHost(
  targets: readonly EgressTarget[],
  timeoutMs: number,
  signal: AbortSignal | undefined,
): Promise<readonly string[]> {
  if (targets.length === 0) return [];
  const job = { targets: targets.map(({ host, port }) => [host, port] as const), names: [], timeoutMs };
  const { stdout } = await run([process.execPath, '-e', probeScript], {
    stdin: JSON.stringify(job),
    timeoutMs: timeoutMs + 20_000,
    ...(signal === undefined ? {} : { signal }),
  });
  return (JSON.parse(stdout) as ProbeAnswer).targets;
}

/** Who gets out, against who may. Where no target answers anybody, closed means nothing. */
export function egressFindings(options: {
  readonly trials: readonly EgressTrial[];
  readonly fromHost: readonly string[];
  readonly targets: readonly EgressTarget[];
  readonly paths: DeclaredPaths;
  /** Wins over the paths. */
  readonly egress: Readonly<Record<string, boolean>>;
  readonly place: PlaceOf;
}): { readonly findings: readonly Finding[]; readonly notChecked: readonly NotChecked[] } {
  const { trials, targets, paths, egress, place } = options;
  const answering = targets.filter(
    (_, index) => options.fromHost[index] === 'open' || trials.some(({ results }) => results[index] === 'open'),
  );
  if (answering.length === 0) {
    const named = targets.map(({ host, port }) => `${host}:${String(port)}`).join(', ');
    return {
      findings: [],
      notChecked: [
        { subject: 'egress', reason: `none of ${named} answers from here either, so closed proves nothing` },
      ],
    };
  }
  const findings = trials.flatMap(({ node, results }): Finding[] => {
    const rule = paths.egress.find(({ service }) => service === node.service);
    const may = egress[node.service] ?? rule !== undefined;
    const reached = targets.filter((_, index) => results[index] === 'open');
    if (reached.length > 0 && !may) {
      const message = `It reaches the outside world: ${reached.map(({ host, port }) => `${host}:${String(port)}`).join(', ')}.`;
      return [finding('network-egress-undeclared', node.subject, message, { location: place(node.service) })];
    }
    return reached.length === 0 && rule !== undefined
      ? [unused(paths, `egress of ${node.service}`, rule.line, 'it does not get out')]
      : [];
  });
  return { findings, notChecked: [] };
}

/** Published ports, tried from the host: the control that a closed network has not closed what is to be open. */
export function publishedTargets(nodes: readonly Node[]): readonly (EgressTarget & { readonly node: Node })[] {
  return nodes.flatMap((node) =>
    (node.published ?? []).map(({ hostPort, hostAddress }) => ({
      node,
      host: hostAddress === '' || hostAddress === '0.0.0.0' ? '127.0.0.1' : hostAddress === '::' ? '::1' : hostAddress,
      port: hostPort,
    })),
  );
}

/** Those that did not answer. */
export function publishedFindings(
  targets: ReturnType<typeof publishedTargets>,
  results: readonly string[],
): readonly Finding[] {
  return targets.flatMap(({ node, host, port }, index) =>
    results[index] === 'open'
      ? []
      : [
          finding(
            'published-port-silent',
            node.subject,
            `Its published port ${host}:${String(port)} does not answer.`,
            { key: `${host} ${String(port)}` },
          ),
        ],
  );
}
