import { namesIn, type RiskLevel } from './capabilities.ts';
import type { HostBind } from './configuration.ts';
import type { Observation } from './observe.ts';
import { hasUserNamespace, reachableBy } from './proc.ts';
import { worst } from './risk.ts';
import type { CapabilityVerdict, DriftKind } from './verdicts.ts';

/** One process of a container, its sets as names. */
export interface ProcessAudit {
  /** On the engine's host. */
  readonly pid: number;
  readonly program: string;
  readonly uid: number;
  readonly effective: readonly string[];
  readonly permitted: readonly string[];
  readonly bounding: readonly string[];
  readonly ambient: readonly string[];
  readonly reachable: readonly string[];
  readonly noNewPrivileges: boolean;
  readonly seccomp: 'none' | 'strict' | 'filtered';
  readonly userNamespace: boolean;
  readonly privilegedExec: boolean;
}

/** One container: what was declared, configured, is in effect and can be reached. Plain data for `JSON.stringify`. */
export interface ContainerAudit {
  readonly id: string;
  readonly name: string;
  readonly service: string;
  /** What findings call it. */
  readonly subject: string;
  /** running, created, exited … */
  readonly state: string;
  /** `cap_add` of the compose file; undefined where none is known. */
  readonly declared: readonly string[] | undefined;
  readonly configured: readonly string[];
  readonly effective: readonly string[];
  readonly reachable: readonly string[];
  /** What was asked for, declared or reached beyond that; not what Docker gives unasked. */
  readonly capabilities: readonly CapabilityVerdict[];
  /** The worst of them; `none` without any. */
  readonly risk: RiskLevel | 'none';
  readonly drift: readonly DriftKind[];
  readonly privileged: boolean;
  readonly user: string;
  readonly noNewPrivileges: boolean;
  readonly seccomp: 'default' | 'unconfined' | 'custom';
  readonly hostNamespaces: readonly string[];
  readonly hostBinds: readonly HostBind[];
  readonly devices: readonly string[];
  readonly processes: readonly ProcessAudit[];
  /** Why its processes were not looked at. */
  readonly notChecked?: string;
}

/** What was seen of a container, as data. */
export function toContainerAudit(
  observed: Observation,
  verdicts: readonly CapabilityVerdict[],
  isStale: boolean,
): ContainerAudit {
  const { container, configuration, processes, unseen } = observed;
  const drift = new Set(verdicts.flatMap((verdict) => verdict.drift));
  if (isStale) drift.add('stale-container');
  const declared = verdicts.some((verdict) => verdict.declared !== undefined)
    ? verdicts.filter((verdict) => verdict.declared === true).map(({ name }) => name)
    : undefined;
  return {
    id: container.id,
    name: container.name,
    service: observed.service,
    subject: observed.subject,
    state: container.state.status,
    declared,
    configured: configuration.privileged ? ['ALL'] : namesIn(configuration.mask),
    effective: namesIn(observed.effective),
    reachable: namesIn(observed.reachable),
    capabilities: verdicts,
    risk: configuration.privileged
      ? 'critical'
      : verdicts.length === 0
        ? 'none'
        : worst(verdicts.map(({ level }) => level)),
    drift: [...drift],
    privileged: configuration.privileged,
    user: configuration.user,
    noNewPrivileges: configuration.noNewPrivileges,
    seccomp: configuration.seccomp,
    hostNamespaces: configuration.hostNamespaces,
    hostBinds: configuration.hostBinds,
    devices: configuration.devices,
    processes: processes.map((process) => ({
      pid: process.pid,
      program: process.program,
      uid: process.uid,
      effective: namesIn(process.effective),
      permitted: namesIn(process.permitted),
      bounding: namesIn(process.bounding),
      ambient: namesIn(process.ambient),
      reachable: namesIn(reachableBy(process)),
      noNewPrivileges: process.noNewPrivileges,
      seccomp: process.seccomp === 0 ? 'none' : process.seccomp === 1 ? 'strict' : 'filtered',
      userNamespace: hasUserNamespace(process),
      privilegedExec: process.privilegedExec,
    })),
    ...(unseen === undefined ? {} : { notChecked: unseen }),
  };
}
