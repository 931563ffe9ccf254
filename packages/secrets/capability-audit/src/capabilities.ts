import type { Severity } from '@devstack-core/audit-report';
import type { RiskCondition } from './risk.ts';

/** How much a capability lets a process do; the names are those of a finding's severity. */
export type RiskLevel = Extract<Severity, 'critical' | 'high' | 'medium' | 'low'>;

/** One Linux capability. */
export interface Capability {
  /** Without `CAP_`, upper case. */
  readonly name: string;
  readonly bit: number;
  /** Docker gives it to a container that neither adds nor drops anything. */
  readonly byDefault: boolean;
  /** In a container of root's engine, without a user namespace, under the default seccomp profile. */
  readonly level: RiskLevel;
  /** What a process with it can do, for a person who decides. */
  readonly grants: string;
  /** It reaches beyond the container; a user namespace weakens such ones. */
  readonly reachesHost: boolean;
  /** What makes it worse here, by one level, or to `critical` where `raisesTo` says so. */
  readonly raisedBy: readonly RiskCondition[];
  readonly raisesTo?: 'critical';
}

type Row = readonly [
  name: string,
  level: RiskLevel,
  grants: string,
  raisedBy?: readonly RiskCondition[],
  raisesTo?: 'critical',
];

// Names and numbers: linux/capability.h, capabilities(7). Levels are ours, in the order of the Kubernetes Pod Security Standards (what the
// baseline forbids is at least medium) and of known ways out of a container.
const rows: readonly Row[] = [
  ['CHOWN', 'medium', 'give any file to anybody', ['writable-host-bind']],
  ['DAC_OVERRIDE', 'medium', 'read and write any file whatever its mode', ['writable-host-bind']],
  ['DAC_READ_SEARCH', 'critical', 'open any file of the file system by its handle, those of the host included'],
  ['FOWNER', 'medium', "change mode and attributes of other users' files", ['writable-host-bind']],
  ['FSETID', 'low', 'keep setuid and setgid bits on files it changes'],
  ['KILL', 'low', 'send signals to processes of other users', ['host-pid']],
  ['SETGID', 'medium', 'become a member of any group', ['host-bind']],
  ['SETUID', 'medium', 'become any user', ['host-bind']],
  ['SETPCAP', 'low', 'change its own capability sets and secure bits'],
  ['LINUX_IMMUTABLE', 'medium', 'make files immutable, or no longer so', ['writable-host-bind']],
  ['NET_BIND_SERVICE', 'low', 'listen on ports below 1024', ['host-network']],
  ['NET_BROADCAST', 'low', 'nothing that the kernel checks today'],
  [
    'NET_ADMIN',
    'high',
    'change addresses, routes and packet filters, and reach much kernel code',
    ['host-network'],
    'critical',
  ],
  ['NET_RAW', 'medium', 'send forged packets: ARP and DNS answers for its neighbours', ['host-network']],
  ['IPC_LOCK', 'low', 'keep memory from being swapped', ['no-memory-limit']],
  ['IPC_OWNER', 'medium', 'use shared memory and queues of other users', ['host-ipc']],
  ['SYS_MODULE', 'critical', 'load code into the kernel'],
  ['SYS_RAWIO', 'critical', 'reach the memory and the ports of the machine'],
  ['SYS_CHROOT', 'low', 'change its root folder'],
  [
    'SYS_PTRACE',
    'high',
    'read and change the memory of other processes, and so their secrets',
    ['host-pid'],
    'critical',
  ],
  ['SYS_PACCT', 'medium', 'switch the accounting of processes'],
  ['SYS_ADMIN', 'critical', 'mount, enter namespaces and much else: nearly root of the host'],
  ['SYS_BOOT', 'high', 'restart the machine, load another kernel'],
  ['SYS_NICE', 'medium', 'take processor time and memory placement from others'],
  ['SYS_RESOURCE', 'medium', 'go beyond limits and quotas'],
  ['SYS_TIME', 'high', "set the host's clock, on which certificates and logins depend"],
  ['SYS_TTY_CONFIG', 'medium', 'hang up and set up terminals'],
  ['MKNOD', 'medium', 'make device nodes', ['devices']],
  ['LEASE', 'low', 'take leases on any file'],
  ['AUDIT_WRITE', 'low', "write into the kernel's audit log"],
  ['AUDIT_CONTROL', 'high', "switch the kernel's audit off, change its rules"],
  ['SETFCAP', 'medium', 'give capabilities to files', ['writable-host-bind']],
  ['MAC_OVERRIDE', 'high', 'pass by the rules of the security module'],
  ['MAC_ADMIN', 'high', 'change the rules of the security module'],
  ['SYSLOG', 'medium', "read the kernel's log and its addresses"],
  ['WAKE_ALARM', 'low', 'wake the machine'],
  ['BLOCK_SUSPEND', 'low', 'keep the machine awake'],
  ['AUDIT_READ', 'medium', "read the host's audit log"],
  [
    'PERFMON',
    'high',
    'watch the performance of the whole machine, and its secrets by side channels',
    ['with-BPF'],
    'critical',
  ],
  ['BPF', 'high', 'load programs into the kernel', ['with-PERFMON', 'with-NET_ADMIN'], 'critical'],
  ['CHECKPOINT_RESTORE', 'medium', 'choose process numbers, restore processes', ['host-pid']],
];

// moby/oci/caps/defaults.go
const dockerDefaults = new Set([
  'CHOWN',
  'DAC_OVERRIDE',
  'FSETID',
  'FOWNER',
  'MKNOD',
  'NET_RAW',
  'SETGID',
  'SETUID',
  'SETFCAP',
  'SETPCAP',
  'NET_BIND_SERVICE',
  'SYS_CHROOT',
  'KILL',
  'AUDIT_WRITE',
]);

// They act on things of the container alone, unless what it shares with the host raises them.
const ownOnly = new Set([
  'FSETID',
  'KILL',
  'SETGID',
  'SETUID',
  'SETPCAP',
  'NET_BIND_SERVICE',
  'NET_BROADCAST',
  'SYS_CHROOT',
  'LEASE',
  'IPC_OWNER',
]);

/** All capabilities of Linux 5.9 to 6.x, by their number. */
export const capabilities: readonly Capability[] = rows.map(([name, level, grants, raisedBy = [], raisesTo], bit) => ({
  name,
  bit,
  byDefault: dockerDefaults.has(name),
  level,
  grants,
  reachesHost: !ownOnly.has(name),
  raisedBy,
  ...(raisesTo === undefined ? {} : { raisesTo }),
}));

const byName = new Map(capabilities.map((capability) => [capability.name, capability]));

/** Every capability this package knows, as the bits of `/proc/<pid>/status`. */
export const allCapabilities: bigint = (1n << BigInt(capabilities.length)) - 1n;

/** What Docker gives unless told otherwise: 14 capabilities, 0xa80425fb. */
export const defaultCapabilities: bigint = maskOf([...dockerDefaults]);

/** `cap_net_admin`, `CAP_NET_ADMIN` and `NET_ADMIN` are `NET_ADMIN`: engines store whatever was written. */
export function plainName(written: string): string {
  return written.trim().toUpperCase().replace(/^CAP_/, '');
}

/** The capability of that name, in any spelling; also the `CAP_<bit>` of one that is newer than this package. */
export function capabilityOf(written: string): Capability | undefined {
  const name = plainName(written);
  const known = byName.get(name);
  if (known !== undefined) return known;
  const bit = /^\d{1,2}$/.test(name) ? Number(name) : Number.NaN;
  return bit >= capabilities.length && bit < 64 ? unknownCapability(bit) : undefined;
}

/** The bits of these names; names that nothing is known of are left out. */
export function maskOf(names: readonly string[]): bigint {
  return names.reduce((mask, name) => {
    if (plainName(name) === 'ALL') return mask | allCapabilities;
    const capability = capabilityOf(name);
    return capability === undefined ? mask : mask | (1n << BigInt(capability.bit));
  }, 0n);
}

/** The capabilities of a mask, by number. Bits above those of this package are `CAP_<bit>`, never dropped. */
export function capabilitiesIn(mask: bigint): readonly Capability[] {
  const found: Capability[] = [];
  for (let bit = 0; mask >> BigInt(bit) > 0n; bit += 1) {
    if (((mask >> BigInt(bit)) & 1n) === 1n) found.push(capabilities[bit] ?? unknownCapability(bit));
  }
  return found;
}

/** The names of a mask, by number. */
export function namesIn(mask: bigint): readonly string[] {
  return capabilitiesIn(mask).map(({ name }) => name);
}

function unknownCapability(bit: number): Capability {
  const grants = 'unknown: this kernel is newer than the audit';
  return { name: `CAP_${String(bit)}`, bit, byDefault: false, level: 'high', grants, reachesHost: true, raisedBy: [] };
}
