import type { HostBind } from './configuration.ts';

/** What a mount of the host gives away. */
export type HostAccess = 'engine-socket' | 'sensitive-write' | 'sensitive-read' | 'write' | 'read';

const sockets = /(^|\/)(docker|containerd|podman|crio|cri-dockerd)\.sock$/;
const socketFolders = ['/', '/run', '/var', '/var/run', '/run/docker', '/run/containerd', '/run/podman'];

// What holds the host's secrets or lets a container change how it runs.
const sensitive = [
  '/boot',
  '/dev',
  '/etc',
  '/lib',
  '/lib64',
  '/bin',
  '/sbin',
  '/proc',
  '/sys',
  '/usr',
  '/var/lib/docker',
  '/var/lib/containerd',
];
// A whole home, or the keys in it; a project below a home is an ordinary folder.
const homes = /^(\/root|\/home(\/[^/]+)?)$|\/\.(ssh|aws|kube|docker|gnupg|config\/devstack)(\/|$)/;
// Read by everybody, and mounted by many for the time zone and the certificates.
const harmless = ['/etc/localtime', '/etc/timezone', '/etc/ssl/certs', '/etc/ca-certificates', '/usr/share/zoneinfo'];

/** Judges a mount by where it comes from. */
export function hostAccess({ source, readOnly }: HostBind): HostAccess {
  const path = source.length > 1 ? source.replace(/\/+$/, '') : source;
  if (sockets.test(path) || socketFolders.includes(path)) return 'engine-socket';
  const isSensitive = homes.test(path) || sensitive.some((folder) => isIn(path, folder));
  if (!isSensitive || harmless.some((folder) => isIn(path, folder))) return readOnly ? 'read' : 'write';
  return readOnly ? 'sensitive-read' : 'sensitive-write';
}

function isIn(path: string, folder: string): boolean {
  return path === folder || path.startsWith(`${folder}/`);
}
