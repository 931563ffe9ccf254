import process from 'node:process';

/** Variables that a child gets unless `inheritEnv` says otherwise: where programs, settings, proxies and Docker are; none holds a secret by its meaning. */
export const defaultInheritedEnv: readonly string[] = [
  ...['PATH', 'HOME', 'USER', 'LOGNAME', 'SHELL', 'TERM', 'TMPDIR', 'TZ', 'LANG', 'LC_ALL', 'LC_CTYPE'],
  ...['XDG_CONFIG_HOME', 'XDG_CACHE_HOME', 'XDG_RUNTIME_DIR', 'SSH_AUTH_SOCK', 'GNUPGHOME'],
  ...[
    'DOCKER_HOST',
    'DOCKER_CONTEXT',
    'DOCKER_CONFIG',
    'DOCKER_CERT_PATH',
    'DOCKER_TLS_VERIFY',
    'DOCKER_BUILDKIT',
    'BUILDX_CONFIG',
  ],
  ...['SSL_CERT_FILE', 'SSL_CERT_DIR', 'NODE_EXTRA_CA_CERTS'],
  ...['HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY', 'http_proxy', 'https_proxy', 'no_proxy'],
];

/** Which variables of this process a child gets: all, none, or these. */
export type InheritEnv = boolean | readonly string[];

/** The environment of a child. An added variable that is undefined is taken away. */
export function childEnvironment(
  inherit: InheritEnv,
  added: Readonly<Record<string, string | undefined>>,
): Record<string, string> {
  // A child's environment is made from this process's own; which part of it is the caller's choice.
  // eslint-disable-next-line n/no-process-env
  const own = process.env;
  const names = typeof inherit === 'boolean' ? (inherit ? Object.keys(own) : []) : inherit;
  const merged = { ...Object.fromEntries(names.map((name) => [name, own[name]])), ...added };
  return Object.fromEntries(
    Object.entries(merged).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}

/** The folders that programs are looked up in. */
export function searchPath(): string {
  // eslint-disable-next-line n/no-process-env
  return process.env['PATH'] ?? '/usr/local/bin:/usr/bin:/bin';
}
