import type { Argv } from '@devstack-core/command-runner';

/** What a way to start Docker depends on. */
export interface EngineSurroundings {
  readonly platform: NodeJS.Platform;
  /** Of the endpoint, e.g. `unix:///var/run/docker.sock`. */
  readonly address: string;
  readonly context: string | undefined;
  readonly isRoot: boolean;
  /** systemd is what runs this machine. */
  readonly hasSystemd: boolean;
  /** The program's path, or undefined. */
  readonly which: (program: string) => Promise<string | undefined>;
  readonly exists: (path: string) => boolean;
}

/** One way to start Docker. */
export interface EngineWay {
  readonly name: 'systemd' | 'service' | 'dockerd' | 'colima' | 'docker-desktop';
  readonly argv: Argv;
}

export interface DockerdOptions {
  /** Where the log of a directly started dockerd goes. */
  readonly logFile: string;
  readonly arguments: readonly string[];
}

/**
 * The ways that fit the context in use, the likeliest first: a context of Colima or Docker Desktop means that program and no other, a
 * rootless socket the user's own service, and the default one whatever this machine has.
 */
export async function waysToStart(around: EngineSurroundings, dockerd: DockerdOptions): Promise<readonly EngineWay[]> {
  const profile = colimaProfile(around);
  if (profile !== undefined) return [colima(profile)];
  if (isDesktop(around)) return [desktop(around)];
  if (around.platform === 'darwin') {
    if ((await around.which('colima')) !== undefined) return [colima('default')];
    return [desktop(around)];
  }
  const isRootless = /^unix:\/\/\/run\/user\/\d+\//.test(around.address);
  if (isRootless)
    return around.hasSystemd ? [{ name: 'systemd', argv: ['systemctl', '--user', 'start', 'docker'] }] : [];
  return localWays(around, dockerd);
}

async function localWays(around: EngineSurroundings, dockerd: DockerdOptions): Promise<readonly EngineWay[]> {
  const ways: EngineWay[] = [];
  const asRoot = (argv: Argv): Argv => (around.isRoot ? argv : ['sudo', '--non-interactive', ...argv]);
  if (around.hasSystemd && (await around.which('systemctl')) !== undefined)
    ways.push({ name: 'systemd', argv: asRoot(['systemctl', 'start', 'docker']) });
  if (around.exists('/etc/init.d/docker') && (await around.which('service')) !== undefined)
    ways.push({ name: 'service', argv: asRoot(['service', 'docker', 'start']) });
  if ((await around.which('dockerd')) !== undefined) ways.push({ name: 'dockerd', argv: asRoot(detached(dockerd)) });
  return ways;
}

// In a session of its own, so that neither the end of this program nor Ctrl-C reaches it.
function detached({ logFile, arguments: more }: DockerdOptions): Argv {
  return ['sh', '-c', 'log=$1; shift; setsid dockerd "$@" >>"$log" 2>&1 </dev/null &', 'sh', logFile, ...more];
}

function colima(profile: string): EngineWay {
  return {
    name: 'colima',
    argv: profile === 'default' ? ['colima', 'start'] : ['colima', 'start', '--profile', profile],
  };
}

function desktop({ platform }: EngineSurroundings): EngineWay {
  const argv: Argv =
    platform === 'darwin'
      ? ['open', '--background', '-a', 'Docker']
      : ['systemctl', '--user', 'start', 'docker-desktop'];
  return { name: 'docker-desktop', argv };
}

/** `colima` is the default profile's context, `colima-work` that of `work`; their sockets are in `~/.colima/<profile>/`. */
function colimaProfile({ context, address }: EngineSurroundings): string | undefined {
  const named = /^colima(?:-(.+))?$/.exec(context ?? '');
  if (named !== null) return named[1] ?? 'default';
  return /\/\.?colima\/([^/]+)\/docker\.sock$/.exec(address)?.[1];
}

function isDesktop({ context, address }: EngineSurroundings): boolean {
  return (context ?? '').startsWith('desktop-') || /\/\.docker\/(?:desktop|run)\//.test(address);
}
