import { randomBytes } from 'node:crypto';
import type { ContainerDetails, ContainerSpec, DockerEngine } from '@devstack-core/docker-engine';
import { adviseByTrial, type Advice } from './advise-by-trial.ts';
import { namesIn } from './capabilities.ts';
import { configurationOf } from './configuration.ts';

/** What to try, and how to tell that it works. */
export interface AdviseOptions {
  readonly engine: Pick<DockerEngine, 'inspectContainer' | 'createContainer' | 'startContainer' | 'removeContainer'>;
  /** The container to learn about; it is only looked at. */
  readonly container: string;
  /** Resolves to true once the copy with that id serves, to false where it will not. It decides how long to wait. */
  readonly probe: (containerId: string, signal?: AbortSignal) => Promise<boolean>;
  /** What may be needed; what the container has now unless given. */
  readonly candidates?: readonly string[];
  /** The network of the copies; none unless given. */
  readonly network?: string;
  readonly signal?: AbortSignal;
}

/**
 * Starts copies of a container with `cap_drop: [ALL]` and fewer and fewer capabilities, and keeps what the probe needs. Copies have new volumes,
 * the binds read-only and no published port, and are removed. Throws what `adviseByTrial` throws.
 */
export async function adviseCapabilities(options: AdviseOptions): Promise<Advice> {
  const { engine, signal } = options;
  const original = await engine.inspectContainer(options.container);
  return adviseByTrial({
    subject: `A copy of ${original.name}`,
    candidates: options.candidates ?? namesIn(configurationOf(original).mask),
    trial: (capAdd) => tryWith(original, capAdd, options),
    ...(signal === undefined ? {} : { signal }),
  });
}

async function tryWith(
  original: ContainerDetails,
  capAdd: readonly string[],
  { engine, probe, network = 'none', signal }: AdviseOptions,
): Promise<boolean> {
  const id = await engine.createContainer(copyOf(original, capAdd, network));
  try {
    try {
      await engine.startContainer(id);
    } catch {
      // What the engine cannot start with these capabilities does not work with them.
      return false;
    }
    return await probe(id, signal);
  } finally {
    await engine.removeContainer(id, { force: true, volumes: true });
  }
}

interface RawCopy {
  readonly Config: {
    readonly Cmd?: readonly string[] | null;
    readonly Entrypoint?: readonly string[] | null;
    readonly Env?: readonly string[] | null;
    readonly WorkingDir?: string;
  };
  readonly HostConfig: { readonly SecurityOpt?: readonly string[] | null };
}

function copyOf(original: ContainerDetails, capAdd: readonly string[], network: string): ContainerSpec {
  const { Config, HostConfig } = original.raw as RawCopy;
  const { tmpfs, memoryBytes, cpus, pids, readOnlyRoot } = configurationOf(original);
  const env = (Config.Env ?? []).map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]);
  return {
    name: `${original.name.slice(0, 40)}-advice-${randomBytes(4).toString('hex')}`,
    image: original.imageId,
    ...(Config.Cmd == null ? {} : { argv: Config.Cmd }),
    ...(Config.Entrypoint == null ? {} : { entrypoint: Config.Entrypoint }),
    env: Object.fromEntries(env) as Record<string, string>,
    ...(Config.WorkingDir === undefined || Config.WorkingDir === '' ? {} : { workdir: Config.WorkingDir }),
    labels: { 'io.devstack.ephemeral': 'true' },
    user: original.user,
    network,
    // A volume of the original would let the copy write into its data; one without a name is new and goes with the copy.
    binds: original.mounts.flatMap(({ type, source, target }) =>
      type === 'bind' ? [`${source}:${target}:ro`] : type === 'volume' ? [target] : [],
    ),
    tmpfs,
    capDrop: ['ALL'],
    capAdd,
    securityOptions: HostConfig.SecurityOpt ?? [],
    readOnlyRoot,
    ...(memoryBytes > 0 ? { memoryBytes } : {}),
    ...(cpus > 0 ? { cpus } : {}),
    ...(pids > 0 ? { pids } : {}),
  };
}
