import type { ComposeModel } from '@devstack-core/compose-project';
import { isInForce, type Allowlist, type AllowlistEntry } from './allowlist.ts';
import { capabilitiesIn, maskOf, plainName, type Capability, type RiskLevel } from './capabilities.ts';
import type { Observation } from './observe.ts';
import { conditionsOf, isGraver, riskOf, type RiskCondition, type RiskContext } from './risk.ts';

/** How a container differs from what was declared. */
export type DriftKind =
  'added-at-run-time' | 'ineffective' | 'exec-privileged' | 'beyond-configuration' | 'stale-container';

/** One capability of one container or service. */
export interface CapabilityVerdict {
  readonly name: string;
  /** In the compose file; undefined where none is known. */
  readonly declared: boolean | undefined;
  /** Asked for when the container was made. */
  readonly configured: boolean;
  /** In the effective set of a process. */
  readonly effective: boolean;
  /** A process can get it. */
  readonly reachable: boolean;
  readonly level: RiskLevel;
  /** Why the level is not that of the table. */
  readonly reasons: readonly string[];
  readonly drift: readonly DriftKind[];
  /** The entry that accepts it, in force or expired. */
  readonly entry?: AllowlistEntry;
  readonly allowed: 'yes' | 'no' | 'expired' | 'risk-too-high';
}

/** The parts of a compose model that the audit reads. */
export type DeclaredServices = Pick<ComposeModel, 'services' | 'locate'>;

type Service = ComposeModel['services'][number];

/** The circumstances of a container, from what was seen. */
export function contextOf({ configuration, reachable, userNamespace }: Observation): RiskContext {
  const { hostBinds, hostNamespaces, devices, memoryBytes } = configuration;
  const when = (condition: RiskCondition, holds: boolean): readonly RiskCondition[] => (holds ? [condition] : []);
  return {
    userNamespace,
    conditions: new Set([
      ...when('host-bind', hostBinds.length > 0),
      ...when(
        'writable-host-bind',
        hostBinds.some(({ readOnly }) => !readOnly),
      ),
      ...when('host-network', hostNamespaces.includes('network')),
      ...when('host-pid', hostNamespaces.includes('pid')),
      ...when('host-ipc', hostNamespaces.includes('ipc')),
      ...when('devices', devices.length > 0),
      ...when('no-memory-limit', memoryBytes === 0),
      ...conditionsOf(reachable),
    ]),
  };
}

/** Judges every capability that a container asked for, was declared, or reaches. Those that Docker gives unasked are not among them. */
export function verdictsOf(
  observed: Observation,
  options: { readonly service: Service | undefined; readonly allowlist: Allowlist; readonly now: Date },
): readonly CapabilityVerdict[] {
  const { configuration, beyond, reachable, effective, processes } = observed;
  if (configuration.privileged) return [];
  const asked = maskOf(configuration.capAdd) & configuration.mask;
  const declared = options.service === undefined ? undefined : declaredMask(options.service);
  const context = contextOf(observed);
  const isRunning = processes.length > 0;
  return capabilitiesIn(asked | beyond | (declared ?? 0n)).map((capability) => {
    const has = (mask: bigint): boolean => ((mask >> BigInt(capability.bit)) & 1n) === 1n;
    const risk = riskOf(capability, context);
    const isReachable = has(reachable);
    const drift: DriftKind[] = [];
    if (has(beyond)) drift.push(isPrivilegedExec(observed, capability) ? 'exec-privileged' : 'beyond-configuration');
    else if (declared !== undefined && has(asked) && !has(declared)) drift.push('added-at-run-time');
    if (isRunning && has(asked) && !has(effective)) drift.push('ineffective');
    const reasons = isRunning && !isReachable ? [...risk.reasons, 'no process can get it'] : risk.reasons;
    const level = isRunning && !isReachable ? 'low' : risk.level;
    return {
      name: capability.name,
      declared: declared === undefined ? undefined : has(declared),
      configured: has(asked),
      effective: has(effective),
      reachable: isReachable,
      level,
      reasons,
      drift,
      ...accepted(observed.service, capability, level, options),
    };
  });
}

/** The same for a service that has no container: what its file asks for. */
export function declaredVerdictsOf(
  service: Service,
  options: { readonly allowlist: Allowlist; readonly now: Date },
): readonly CapabilityVerdict[] {
  const conditions = new Set<RiskCondition>(conditionsOf(declaredMask(service)));
  const binds = service.mounts.filter(({ type }) => type === 'bind');
  if (binds.length > 0) conditions.add('host-bind');
  if (binds.some(({ readOnly }) => !readOnly)) conditions.add('writable-host-bind');
  if (service.limits.memoryBytes === undefined) conditions.add('no-memory-limit');
  return capabilitiesIn(declaredMask(service)).map((capability) => {
    const { level, reasons } = riskOf(capability, { conditions, userNamespace: false });
    return {
      name: capability.name,
      declared: true,
      configured: false,
      effective: false,
      reachable: false,
      level,
      reasons,
      drift: [],
      ...accepted(service.name, capability, level, options),
    };
  });
}

function declaredMask(service: Service): bigint {
  return (
    maskOf(service.capabilitiesAdded) & ~maskOf(service.capabilitiesDropped.filter((name) => plainName(name) !== 'ALL'))
  );
}

function accepted(
  service: string,
  capability: Capability,
  level: RiskLevel,
  { allowlist, now }: { readonly allowlist: Allowlist; readonly now: Date },
): Pick<CapabilityVerdict, 'allowed' | 'entry'> {
  const entry = allowlist.entries.find((one) => one.service === service && one.capability === capability.name);
  if (entry === undefined) return { allowed: 'no' };
  if (!isInForce(entry, now)) return { entry, allowed: 'expired' };
  return { entry, allowed: isGraver(level, entry.risk) ? 'risk-too-high' : 'yes' };
}

function isPrivilegedExec({ processes }: Observation, { bit }: Capability): boolean {
  return processes.some((process) => process.privilegedExec && ((process.bounding >> BigInt(bit)) & 1n) === 1n);
}
