import { capabilities, type Capability, type RiskLevel } from './capabilities.ts';

/** What a container shares with its host, or has beside, that makes a capability worse. */
export type RiskCondition =
  | 'writable-host-bind'
  | 'host-bind'
  | 'host-network'
  | 'host-pid'
  | 'host-ipc'
  | 'devices'
  | 'no-memory-limit'
  | 'with-BPF'
  | 'with-PERFMON'
  | 'with-NET_ADMIN';

/** The circumstances of a container. */
export interface RiskContext {
  readonly conditions: ReadonlySet<RiskCondition>;
  /** Its root is an ordinary user of the host. */
  readonly userNamespace: boolean;
}

/** A level, and why it is not the one of the table. */
export interface Risk {
  readonly level: RiskLevel;
  readonly reasons: readonly string[];
}

const levels: readonly RiskLevel[] = ['low', 'medium', 'high', 'critical'];

const words: Readonly<Record<RiskCondition, string>> = {
  'writable-host-bind': 'a folder of the host is writable',
  'host-bind': 'a folder of the host is mounted',
  'host-network': "it is in the host's network",
  'host-pid': "it sees the host's processes",
  'host-ipc': "it shares the host's IPC",
  devices: 'it has devices of the host',
  'no-memory-limit': 'its memory has no limit',
  'with-BPF': 'together with BPF',
  'with-PERFMON': 'together with PERFMON',
  'with-NET_ADMIN': 'together with NET_ADMIN',
};

/** The words for a condition. */
export function conditionWords(condition: RiskCondition): string {
  return words[condition];
}

/** How bad a capability is in these circumstances: raised where one of its conditions holds, lowered one level by a user namespace. */
export function riskOf(capability: Capability, context: RiskContext): Risk {
  const raised = capability.raisedBy.filter((condition) => context.conditions.has(condition));
  const reasons = raised.map(conditionWords);
  let level = raised.length === 0 ? capability.level : (capability.raisesTo ?? step(capability.level, 1));
  if (context.userNamespace && capability.reachesHost && level !== 'low') {
    level = step(level, -1);
    reasons.push('a user namespace makes it act on less of the host');
  }
  return { level, reasons };
}

/** The worst of these; `low` for none. */
export function worst(all: readonly RiskLevel[]): RiskLevel {
  return levels[Math.max(0, ...all.map((level) => levels.indexOf(level)))] ?? 'low';
}

/** True where `level` is graver than `limit`. */
export function isGraver(level: RiskLevel, limit: RiskLevel): boolean {
  return levels.indexOf(level) > levels.indexOf(limit);
}

/** The conditions that the other capabilities of the same mask make. */
export function conditionsOf(mask: bigint): readonly RiskCondition[] {
  const has = (name: string): boolean =>
    capabilities.some((capability) => capability.name === name && ((mask >> BigInt(capability.bit)) & 1n) === 1n);
  return (['BPF', 'PERFMON', 'NET_ADMIN'] as const).filter(has).map((name) => `with-${name}` as const);
}

function step(level: RiskLevel, by: number): RiskLevel {
  const index = Math.min(levels.length - 1, Math.max(0, levels.indexOf(level) + by));
  return levels[index] ?? level;
}
