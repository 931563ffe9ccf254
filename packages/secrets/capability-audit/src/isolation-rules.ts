import { hostAccess } from './host-access.ts';
import type { Breach, HardeningRule } from './rule.ts';

// What a container shares with its host.
const rules: readonly HardeningRule[] = [
  {
    id: 'privileged-container',
    area: 'isolation',
    severity: 'critical',
    title: 'No container is privileged.',
    remediation: 'Remove `privileged: true`; add the one capability or device that is needed.',
    field: 'privileged',
    check: ({ configuration: { privileged } }) =>
      privileged
        ? [{ message: 'It is privileged: every capability, every device, no seccomp, no security module.' }]
        : [],
  },
  {
    id: 'host-namespace',
    area: 'isolation',
    severity: 'high',
    title: 'No container shares a namespace with the host.',
    remediation: 'Remove the `host` mode; publish the ports or mount the files that are needed.',
    field: 'network_mode',
    check: ({ configuration: { hostNamespaces } }) =>
      hostNamespaces.map((name) => ({ message: `It shares the ${name} namespace of the host.`, key: name })),
  },
  {
    id: 'docker-socket',
    area: 'isolation',
    severity: 'critical',
    title: 'No container reaches the socket of a container engine.',
    remediation: 'Take the mount away, or put a proxy before the socket that allows only the calls that are needed.',
    field: 'volumes',
    check: ({ configuration: { hostBinds } }) =>
      hostBinds.flatMap((bind) =>
        hostAccess(bind) === 'engine-socket'
          ? [
              {
                message: `${bind.source} is in it, at ${bind.target}: who writes to the engine's socket is root of the host, read-only mount or not.`,
                key: bind.target,
              },
            ]
          : [],
      ),
  },
  {
    id: 'host-path-mounted',
    area: 'isolation',
    severity: 'medium',
    title: 'Containers write to no folder of the host, and see none that holds its secrets.',
    remediation: 'Use a named volume, mount it read-only, or mount less of the host.',
    field: 'volumes',
    check: ({ configuration: { hostBinds } }) =>
      hostBinds.flatMap((bind): Breach[] => {
        const access = hostAccess(bind);
        if (access === 'engine-socket' || access === 'read') return [];
        const message = `${bind.source} of the host is ${bind.readOnly ? 'readable' : 'writable'} at ${bind.target}.`;
        const severity = access === 'sensitive-write' ? 'critical' : 'medium';
        return [{ message, severity, key: bind.target }];
      }),
  },
  {
    id: 'host-device',
    area: 'isolation',
    severity: 'high',
    title: 'No container has a device of the host.',
    remediation: 'Remove the device.',
    field: 'devices',
    check: ({ configuration: { devices } }) =>
      devices.map((device) => ({ message: `It has the device ${device}.`, key: device })),
  },
];

/** The rules of isolation. */
export const isolationRules: readonly HardeningRule[] = rules;
