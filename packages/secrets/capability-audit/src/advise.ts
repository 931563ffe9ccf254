import { randomBytes } from 'node:crypto';
import type { ContainerDetails, ContainerSpec, DockerEngine } from '@devstack-core/docker-engine';
import { DevstackError, abortReason } from '@devstack-core/errors';
import { capabilitiesIn, maskOf, plainName } from './capabilities.ts';
import { configurationOf } from './configuration.ts';
import { CapabilityAuditErrorCode } from './errors.ts';

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

/** The smallest `cap_add` beside `cap_drop: [ALL]` with which the probe passed. */
export interface Advice {
  readonly capAdd: readonly string[];
  /** In the order of their trials. */
  readonly trials: readonly { readonly capAdd: readonly string[]; readonly passed: boolean }[];
  /** Candidates without which it works too. */
  readonly needless: readonly string[];
}

/**
 * Starts copies of a container with `cap_drop: [ALL]` and fewer and fewer capabilities, and keeps what the probe needs: halves first, then
 * one by one, so that nothing in the answer can be taken away alone (Zeller's ddmin with single steps). Copies have new volumes, the binds
 * read-only and no published port, and are removed. Throws ADVICE_IMPOSSIBLE where the probe fails even with all candidates.
 */
export async function adviseCapabilities(options: AdviseOptions): Promise<Advice> {
  const original = await options.engine.inspectContainer(options.container);
  const candidates =
    options.candidates === undefined
      ? capabilitiesIn(configurationOf(original).mask).map(({ name }) => name)
      : capabilitiesIn(maskOf(options.candidates)).map(({ name }) => name);
  const trials: { capAdd: readonly string[]; passed: boolean }[] = [];
  const works = async (capAdd: readonly string[]): Promise<boolean> => {
    const known = trials.find((trial) => trial.capAdd.join() === capAdd.join());
    if (known !== undefined) return known.passed;
    const passed = await tryWith(original, capAdd, options);
    trials.push({ capAdd, passed });
    return passed;
  };
  if (await works([])) return { capAdd: [], trials, needless: candidates };
  if (!(await works(candidates))) throw impossible(original, candidates);
  const capAdd = await smallest(candidates, works);
  return { capAdd, trials, needless: candidates.filter((name) => !capAdd.includes(name)) };
}

// Each round tries to do without one part of what is left; where no part can go, parts are halved, down to single ones.
async function smallest(
  candidates: readonly string[],
  works: (capAdd: readonly string[]) => Promise<boolean>,
): Promise<readonly string[]> {
  let left = candidates;
  let size = Math.ceil(left.length / 2);
  while (left.length > 0) {
    let removed = false;
    for (let start = 0; start < left.length && !removed; start += size) {
      const rest = left.filter((_, index) => index < start || index >= start + size);
      if (!(await works(rest))) continue;
      left = rest;
      removed = true;
    }
    if (!removed && size === 1) return left;
    size = removed ? Math.max(1, Math.min(size, Math.ceil(left.length / 2))) : Math.ceil(size / 2);
  }
  return left;
}

async function tryWith(
  original: ContainerDetails,
  capAdd: readonly string[],
  { engine, probe, network = 'none', signal }: AdviseOptions,
): Promise<boolean> {
  const early = abortReason(signal, `the advice for ${original.name}`);
  if (early !== undefined) throw early;
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

function impossible(original: ContainerDetails, candidates: readonly string[]): DevstackError {
  return new DevstackError({
    code: CapabilityAuditErrorCode.adviceImpossible,
    message: `A copy of ${original.name} does not pass the probe even with ${candidates.length === 0 ? 'what it has' : candidates.map(plainName).join(', ')}.`,
    hint: 'Check the probe on the container itself, name more candidates, or give the copies the network that the service needs.',
    details: { container: original.name, candidates },
  });
}
