import { auditReport, findingId, toolOf, type AuditReport, type Finding } from '@devstack-core/audit-report';
import { processesOnHost, type DockerEngine } from '@devstack-core/docker-engine';
import { abortReason } from '@devstack-core/errors';
import { emptyAllowlist, type Allowlist, type HardeningException } from './allowlist.ts';
import { allowlistFindings, type Use } from './allowlist-findings.ts';
import { capabilityFindings } from './capability-findings.ts';
import { toContainerAudit, type ContainerAudit } from './container-audit.ts';
import { hardeningFindings, type AcceptedBreach } from './hardening-findings.ts';
import { locator, type Locator } from './locations.ts';
import { observe, type Observation } from './observe.ts';
import { scoreOf, type GradedFinding, type Score } from './score.ts';
import { selectContainers, type ContainerSelection } from './select.ts';
import { declaredVerdictsOf, verdictsOf, type CapabilityVerdict, type DeclaredServices } from './verdicts.ts';

/** What declarations are held against, with or without containers. */
export interface DeclarationOptions {
  /** Nothing is accepted without one. */
  readonly allowlist?: Allowlist;
  /** Paths of findings become relative to it. */
  readonly root?: string;
  readonly now?: Date;
}

/** What is looked at, and what it is held against. */
export interface AuditCapabilitiesOptions extends DeclarationOptions {
  readonly engine: Pick<DockerEngine, 'listContainers' | 'inspectContainer' | 'inspectExec'>;
  readonly containers?: ContainerSelection;
  /** What was declared; services without a container are judged by it alone. */
  readonly compose?: DeclaredServices;
  /** Hardening exceptions beside those of the allowlist, without an expiry. */
  readonly exceptions?: readonly Pick<HardeningException, 'service' | 'rule' | 'reason'>[];
  /** Config hash that compose gives each service now (`configHashes` of compose-project): a container with another one is stale. */
  readonly configHashes?: Readonly<Record<string, string>>;
  /** `/proc` of the engine's host. */
  readonly procRoot?: string;
  readonly signal?: AbortSignal;
}

/** What an audit found, the data behind it, and a figure to compare. */
export interface CapabilityAudit {
  readonly report: AuditReport;
  readonly containers: readonly ContainerAudit[];
  /** What exceptions cover. */
  readonly accepted: readonly AcceptedBreach[];
  readonly score: Score;
}

/**
 * Looks at containers as they are now: what they were given, what each of their processes has and can get, and how they are hardened; holds
 * it against the compose file and the allowlist. A container that ends meanwhile, or whose processes are not in this `/proc`, is in
 * `report.notChecked`. Throws what the engine throws where it does not answer, and INTERRUPTED.
 */
export async function auditCapabilities(options: AuditCapabilitiesOptions): Promise<CapabilityAudit> {
  const startedAt = new Date();
  const { engine, allowlist = emptyAllowlist, now = startedAt } = options;
  const { containers, notChecked } = await selectContainers(engine, options.containers ?? {});
  const observed = await observeAll(containers, options);
  const judged = observed.map((one) => judge(one, { ...options, allowlist, now }));
  const missing = declaredAlone(options, new Set(containers.map(({ service }) => service)), allowlist, now);
  const uses = [...judged, ...missing].flatMap((one) => one.uses);
  const graded = [
    ...[...judged, ...missing].flatMap((one) => one.graded),
    ...allowlistFindings(allowlist, uses, now).map((finding) => ({ area: 'allowlist' as const, finding })),
  ];
  const unseen = observed.filter((one) => one.unseen !== undefined);
  return {
    report: auditReport({
      tool: toolOf('capability-audit', import.meta.url),
      startedAt,
      findings: graded.map(({ finding }) => finding),
      notChecked: [
        ...notChecked,
        ...unseen.map(({ subject, unseen: reason = '' }) => ({ subject, reason })),
        ...observed
          .filter((one) => one.processes.length > 0 && one.mounts === undefined)
          .map(({ subject }) => ({
            subject,
            reason: 'its mounts cannot be read by this user; the engine’s own word was taken',
          })),
      ],
      checkedCount: observed.length - unseen.length,
    }),
    containers: judged.map(({ data }) => data),
    accepted: judged.flatMap((one) => one.accepted),
    score: scoreOf(
      graded,
      observed.map(({ subject }) => subject),
      new Set(unseen.map(({ subject }) => subject)),
    ),
  };
}

/**
 * Holds compose files alone against the allowlist, without an engine: for a check before anything runs, where a new capability is to be
 * red until somebody has given its reason.
 */
export function auditDeclaredCapabilities(
  options: DeclarationOptions & { readonly compose: DeclaredServices },
): AuditReport {
  const startedAt = new Date();
  const { compose, allowlist = emptyAllowlist, now = startedAt } = options;
  const declared = declaredAlone(options, new Set(), allowlist, now);
  const uses = [
    ...declared.flatMap((one) => one.uses),
    // Whether an exception of hardening is needed shows at run time.
    ...allowlist.exceptions.map(({ service, rule }) => ({ service, what: rule })),
  ];
  return auditReport({
    tool: toolOf('capability-audit', import.meta.url),
    startedAt,
    findings: [
      ...declared.flatMap((one) => one.graded.map(({ finding }) => finding)),
      ...allowlistFindings(allowlist, uses, now),
    ],
    notChecked: [],
    checkedCount: compose.services.length,
  });
}

interface Judged {
  readonly graded: readonly GradedFinding[];
  readonly uses: readonly Use[];
}

async function observeAll(
  containers: Awaited<ReturnType<typeof selectContainers>>['containers'],
  { engine, procRoot = '/proc', signal }: AuditCapabilitiesOptions,
): Promise<readonly Observation[]> {
  const stop = (): void => {
    const reason = abortReason(signal, 'the audit of capabilities');
    if (reason !== undefined) throw reason;
  };
  stop();
  const pids = await processesOnHost(
    containers.map(({ id }) => id),
    { procRoot },
  );
  stop();
  const counts = Map.groupBy(containers, ({ service, name }) => service ?? name);
  return Promise.all(
    containers.map((container) => {
      const service = container.service ?? container.name;
      const subject = (counts.get(service)?.length ?? 0) > 1 ? container.name : service;
      return observe({ engine, container, subject, procRoot, pids: pids.get(container.id) ?? [] });
    }),
  );
}

function judge(
  observed: Observation,
  options: AuditCapabilitiesOptions & { readonly allowlist: Allowlist; readonly now: Date },
): Judged & { readonly accepted: readonly AcceptedBreach[]; readonly data: ContainerAudit } {
  const { compose, allowlist, exceptions = [] } = options;
  const place = locator(compose, options.root);
  const service = compose?.services.find(({ name }) => name === observed.container.service);
  const verdicts = verdictsOf(observed, { service, allowlist, now: options.now });
  const hardening = hardeningFindings(observed, [...allowlist.exceptions, ...exceptions], (field) =>
    place.field(service, field),
  );
  const stale = staleness(observed, options.configHashes, (field) => place.field(service, field));
  return {
    graded: [
      ...capabilityFindings(observed.subject, verdicts, (name) => place.capability(service, name)).map(asCapability),
      ...stale.map(asCapability),
      ...hardening.findings.map(({ rule, finding }) => ({ area: rule.area, finding })),
    ],
    uses: [
      ...usesOf(observed.service, verdicts),
      ...hardening.accepted.map(({ rule }) => ({ service: observed.service, what: rule })),
    ],
    accepted: hardening.accepted,
    data: toContainerAudit(observed, verdicts, stale.length > 0),
  };
}

// What a file asks for in services that have no container, because their profile does not run.
function declaredAlone(
  { compose, root }: { readonly compose?: DeclaredServices; readonly root?: string },
  present: ReadonlySet<string | undefined>,
  allowlist: Allowlist,
  now: Date,
): readonly Judged[] {
  const place: Locator = locator(compose, root);
  const services = compose?.services.filter(({ name }) => !present.has(name)) ?? [];
  return services.map((service) => {
    const verdicts = declaredVerdictsOf(service, { allowlist, now });
    return {
      graded: capabilityFindings(service.name, verdicts, (name) => place.capability(service, name)).map(asCapability),
      uses: [
        ...usesOf(service.name, verdicts),
        ...allowlist.exceptions
          .filter((exception) => exception.service === service.name)
          .map(({ rule }) => ({ service: service.name, what: rule })),
      ],
    };
  });
}

function asCapability(finding: Finding): GradedFinding {
  return { area: 'capabilities', finding };
}

function usesOf(service: string, verdicts: readonly CapabilityVerdict[]): readonly Use[] {
  return verdicts.map(({ name }) => ({ service, what: name }));
}

function staleness(
  { container, subject }: Observation,
  hashes: Readonly<Record<string, string>> | undefined,
  place: (field: string) => Finding['location'],
): readonly Finding[] {
  const expected = hashes?.[container.service ?? ''];
  const actual = container.labels['com.docker.compose.config-hash'];
  if (expected === undefined || actual === undefined || actual === expected) return [];
  const ruleId = 'stale-container';
  const location = place('image');
  return [
    {
      id: findingId(ruleId, subject),
      ruleId,
      severity: 'medium',
      title: 'Containers are made from the compose file as it is now.',
      message: 'It was made from another version of its declaration, so what the file says is not what runs.',
      ...(location === undefined ? {} : { location }),
      subject,
      remediation: 'Run `docker compose up` (or `devstack up`), which makes it anew.',
    },
  ];
}
