import type { Severity } from '@devstack-core/audit-report';
import { namesIn } from './capabilities.ts';
import type { Observation } from './observe.ts';
import type { Breach, HardeningRule } from './rule.ts';

// How the processes of a container are held, and what they may use up.
const rules: readonly HardeningRule[] = [
  {
    id: 'capabilities-not-dropped',
    area: 'hardening',
    severity: 'medium',
    title: 'Capabilities that nobody asked for are dropped.',
    remediation: 'Add `cap_drop: [ALL]`, and `cap_add` for what is really needed.',
    field: 'cap_drop',
    check: ({ configuration, reachable }: Observation): readonly Breach[] => {
      const { capAdd, capDrop, privileged } = configuration;
      if (privileged || capDrop.includes('ALL') || capAdd.includes('ALL')) return [];
      const left = namesIn(configuration.mask & reachable).filter((name) => !capAdd.includes(name));
      if (left.length === 0) return [];
      return [{ message: `It can reach ${left.join(', ')}, which Docker gives unless it is dropped.` }];
    },
  },
  {
    id: 'seccomp-not-default',
    area: 'hardening',
    severity: 'high',
    title: "System calls are filtered by the engine's seccomp profile.",
    remediation: 'Remove `seccomp=…` from `security_opt`.',
    field: 'security_opt',
    check: ({ configuration: { seccomp, privileged }, processes }: Observation): readonly Breach[] => {
      const open = processes.filter((process) => process.seccomp === 0);
      if (open.length > 0 || (seccomp === 'unconfined' && !privileged))
        return [
          {
            message:
              open.length === 0
                ? 'No system call will be filtered.'
                : `No system call is filtered for ${programs(open)}.`,
          },
        ];
      return seccomp === 'custom' ? [{ message: 'It has a profile of its own.', severity: 'low' }] : [];
    },
  },
  {
    id: 'security-module-off',
    area: 'hardening',
    severity: 'medium',
    title: 'AppArmor or SELinux is not switched off for a container.',
    remediation: 'Remove `apparmor=unconfined` or `label=disable` from `security_opt`.',
    field: 'security_opt',
    check: ({ configuration: { confined, privileged } }) =>
      confined || privileged ? [] : [{ message: 'Its security module is switched off.' }],
  },
  {
    id: 'new-privileges-allowed',
    area: 'hardening',
    severity: 'medium',
    title: 'No process can gain privileges.',
    remediation: "Add `security_opt: ['no-new-privileges:true']`.",
    field: 'security_opt',
    check: ({ configuration, processes }: Observation): readonly Breach[] => {
      const open = processes.filter((process) => !process.noNewPrivileges);
      if (open.length > 0) return [{ message: `${programs(open)} can gain privileges by setuid programs.` }];
      return processes.length > 0 || configuration.noNewPrivileges
        ? []
        : [{ message: 'Its processes will be able to gain privileges by setuid programs.' }];
    },
  },
  {
    id: 'root-user',
    area: 'hardening',
    severity: 'medium',
    title: "No process is the host's root.",
    remediation: 'Add `user:` with a number of its own.',
    field: 'user',
    check: ({ configuration: { user }, processes, userNamespace }: Observation): readonly Breach[] => {
      if (userNamespace) return [];
      const root = processes.filter((process) => process.uid === 0);
      if (root.length > 0) return [{ message: `${programs(root)} runs as root.` }];
      return processes.length === 0 && /^(root|0)?(:.*)?$/.test(user) ? [{ message: 'It will run as root.' }] : [];
    },
  },
  {
    id: 'writable-root-filesystem',
    area: 'hardening',
    severity: 'medium',
    title: 'The root file system is read-only.',
    remediation: 'Add `read_only: true`, with volumes and tmpfs for what is written.',
    field: 'read_only',
    check: ({ configuration: { readOnlyRoot }, mounts }: Observation): readonly Breach[] => {
      // The last mount over a place is the one that is seen.
      const root = mounts?.findLast(({ target }) => target === '/');
      return (root?.readOnly ?? readOnlyRoot) ? [] : [{ message: 'Its root file system is writable.' }];
    },
  },
  limitRule('no-memory-limit', 'medium', 'memory', 'mem_limit: 256m', ({ memoryBytes }) => memoryBytes),
  limitRule('no-cpu-limit', 'low', 'CPU', 'cpus: 1', ({ cpus }) => cpus),
  limitRule('no-pids-limit', 'medium', 'processes', 'pids_limit: 100', ({ pids }) => pids),
  {
    id: 'tmpfs-without-size',
    area: 'hardening',
    severity: 'low',
    title: 'Every tmpfs has a size.',
    remediation: 'Add `size=` to the tmpfs: it is memory of the host.',
    field: 'tmpfs',
    check: ({ configuration: { tmpfs }, mounts }) =>
      Object.entries(tmpfs).flatMap(([target, options]) => {
        const mounted = mounts?.findLast((mount) => mount.target === target)?.options ?? options.split(',');
        const hasSize = mounted.some((option) => /^(size|nr_blocks)=/.test(option));
        return hasSize ? [] : [{ message: `The tmpfs ${target} can take half of the host's memory.`, key: target }];
      }),
  },
  {
    id: 'port-published-widely',
    area: 'hardening',
    severity: 'medium',
    title: 'Ports are published on loopback addresses only.',
    remediation: "Publish it as '127.0.0.1:<port>:<port>'.",
    field: 'ports',
    check: ({ configuration: { ports } }: Observation): readonly Breach[] => {
      const wide = ports.filter(({ hostAddress }) => !/^(127\.|::1$|\[::1\]$)/.test(hostAddress));
      const byPort = new Map(wide.map((port) => [`${String(port.containerPort)}-${String(port.hostPort)}`, port]));
      return [...byPort].map(([key, { containerPort, hostPort, hostAddress }]) => ({
        message: `Port ${String(containerPort)} is published on ${hostAddress === '' || hostAddress === '::' ? '0.0.0.0' : hostAddress}:${String(hostPort)}, for the whole network.`,
        key,
      }));
    },
  },
];

/** The rules for processes, file systems, limits and ports. */
export const processRules: readonly HardeningRule[] = rules;

function limitRule(
  id: string,
  severity: Severity,
  what: string,
  example: string,
  limit: (configuration: Observation['configuration']) => number,
): HardeningRule {
  return {
    id,
    area: 'hardening',
    severity,
    title: `Every container has a limit for its ${what}.`,
    remediation: `Add a limit, for example \`${example}\`.`,
    field: example.split(':')[0] ?? '',
    check: ({ configuration }) => (limit(configuration) > 0 ? [] : [{ message: `It has no limit for its ${what}.` }]),
  };
}

function programs(processes: Observation['processes']): string {
  const names = [...new Set(processes.map(({ program }) => program))];
  const shown = names.slice(0, 3).join(', ');
  return names.length > 3 ? `${shown} and ${String(names.length - 3)} more` : shown;
}
