import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { BackupStore, SetManifest } from '@devstack-core/backup-store';
import {
  drillRecovery,
  dryRun,
  recover,
  unfinishedRecovery,
  type DryRunReport,
  type OnRecoveryEvent,
  type RecoveryOptions,
  type RecoveryPlan,
  type RecoveryReport,
} from '@devstack-core/disaster-recovery';
import { connectDocker } from '@devstack-core/docker-engine';
import { ensurePrivateDirectory } from '@devstack-core/durable-files';
import { listProjects, openStack, reset, up, type OnEvent, type Stack } from '@devstack-core/stack-lifecycle';
import { freePorts, freePrefix, withoutAddresses } from './drill-settings.ts';
import { recoverySource } from './recovery-source.ts';
import { stackRecoverySteps, type StackRecoveryOptions } from './recovery-steps.ts';

/** What a recovery of a stack starts from: a checkout, a store of sets, and nothing else that has to be there. */
export interface RecoverStackOptions {
  readonly store: BackupStore;
  /** The checkout. */
  readonly root: string;
  /** The folder of all projects. */
  readonly configHome: string;
  /** Whatever names a project in it wins over the set. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly backup?: string | undefined;
  readonly acceptUnverified?: boolean | undefined;
  readonly resume?: boolean | undefined;
  readonly confirm: (plan: RecoveryPlan) => Promise<boolean>;
  readonly onRecoveryEvent?: OnRecoveryEvent | undefined;
  readonly onEvent?: OnEvent | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Recovers in the place of what is there. Errors are those of `recover`. */
export async function recoverStack(options: RecoverStackOptions): Promise<RecoveryReport> {
  const common = await commonOf(options);
  // The project, with its addresses, is that of the very set that was chosen.
  let run: Run | undefined = options.resume === true ? await unfinishedRecovery(common.directory) : undefined;
  const open = (): Promise<Stack> => openRecorded(options, run);
  return recover({
    ...common,
    steps: stepsOf(options, {
      stack: lazily(open),
      isDrill: false,
      work: common.directory,
      before: {
        running: () => runningBefore(options, run),
        start: async (services) => {
          await up(await open(), { services, ...(options.onEvent === undefined ? {} : { onEvent: options.onEvent }) });
        },
      },
    }),
    resume: options.resume,
    confirm: (plan) => {
      run = { backupId: plan.set.id, state: 'going-forward' };
      return options.confirm(plan);
    },
  });
}

/** Proves that the newest set can be restored, by restoring it for a trial, and plans. Changes nothing. */
export async function dryRunStack(options: RecoverStackOptions): Promise<DryRunReport> {
  const common = await commonOf(options);
  const stack = (): Promise<Stack> => openRecorded(options, undefined);
  return dryRun({ ...common, steps: stepsOf(options, { stack, isDrill: false, work: common.directory }) });
}

/** The same steps into a stack of its own, which is thrown away afterwards. Throws NO_ADDRESSES and the errors of `drillRecovery`. */
export async function drillStack(options: RecoverStackOptions): Promise<RecoveryReport> {
  const common = await commonOf(options);
  const home = join(common.directory, 'drill');
  return drillRecovery({
    ...common,
    // Under the drill's lease: another drill's stack is none that was left behind.
    openTarget: async () => {
      await sweepDrills(options, home);
      await ensurePrivateDirectory(home);
      const stack = lazily(() => openDrill(options, home));
      return {
        steps: stepsOf(options, { stack, isDrill: true, work: join(home, 'work') }),
        [Symbol.asyncDispose]: () => sweepDrills(options, home),
      };
    },
  });
}

async function commonOf(options: RecoverStackOptions): Promise<CommonOptions> {
  const { store, env, onEvent } = options;
  const directory = join(options.configHome, '.recovery');
  await ensurePrivateDirectory(options.configHome);
  await ensurePrivateDirectory(directory);
  return {
    source: recoverySource(store, {
      docker: () => connectDocker({ env }),
      onEvent: (event) => {
        if (event.type === 'part')
          onEvent?.({ type: 'progress', step: 'backup', text: `${event.service}: ${event.part}: ${event.doing}` });
      },
    }),
    directory,
    historyFile: join(store.directory, '.store', 'recoveries.jsonl'),
    backup: options.backup,
    acceptUnverified: options.acceptUnverified,
    requiredServices: ['vault', 'configuration'],
    signal: options.signal,
    onEvent: options.onRecoveryEvent,
  };
}

type CommonOptions = Omit<RecoveryOptions, 'steps'>;

function stepsOf(
  { store, root, env, onEvent }: RecoverStackOptions,
  more: Pick<StackRecoveryOptions, 'stack' | 'isDrill' | 'work' | 'before'>,
): ReturnType<typeof stackRecoverySteps> {
  return stackRecoverySteps({ store, root, env, ...more, ...(onEvent === undefined ? {} : { onEvent }) });
}

interface Run {
  readonly backupId: string;
  readonly state: 'going-forward' | 'rolling-back' | 'proven';
}

// The project that the set is of, with its addresses, unless the caller or this machine's own record say otherwise.
async function openRecorded(options: RecoverStackOptions, run: Run | undefined): Promise<Stack> {
  const { root, configHome, env } = options;
  return openStack({ root, configHome, env: { ...(await recordedOf(options, run)), ...given(env) } });
}

async function recordedOf({ store, configHome }: RecoverStackOptions, run: Run | undefined): Promise<Settings> {
  if (run === undefined) return {};
  let settings: Settings;
  try {
    settings = projectOf(await store.read(run.backupId));
  } catch (error) {
    // The way back and the end need no set: this machine knows the project by now.
    if (run.state === 'going-forward') throw error;
    return {};
  }
  const project = settings['DEVSTACK_PROJECT'];
  const isKnown = (await listProjects(configHome)).some(({ id }) => id === project);
  return isKnown && project !== undefined ? { DEVSTACK_PROJECT: project } : settings;
}

async function runningBefore(options: RecoverStackOptions, run: Run | undefined): Promise<readonly string[]> {
  const { DEVSTACK_PROJECT: project } = { ...(await recordedOf(options, run)), ...given(options.env) };
  if (project === undefined) return [];
  const docker = await connectDocker({ env: options.env });
  return (await docker.listContainers({ project })).flatMap(({ service }) => service ?? []);
}

type Settings = Readonly<Partial<Record<string, string>>>;

function given(env: RecoverStackOptions['env']): Settings {
  return Object.fromEntries(
    Object.entries(env).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
}

function projectOf(manifest: SetManifest): Settings {
  const metadata = manifest.parts.find(({ service }) => service === 'configuration')?.metadata;
  const [project, prefix, offset] = [metadata?.['project'], metadata?.['subnetPrefix'], metadata?.['portOffset']];
  return {
    ...(typeof project === 'string' ? { DEVSTACK_PROJECT: project } : {}),
    ...(typeof prefix === 'string' ? { DEVSTACK_SUBNET_PREFIX: prefix } : {}),
    ...(typeof offset === 'number' ? { DEVSTACK_PORT_OFFSET: String(offset) } : {}),
  };
}

// Beside the stack that is there: a name, a subnet and ports of its own.
async function openDrill({ root, configHome, env }: RecoverStackOptions, home: string): Promise<Stack> {
  const docker = await connectDocker({ env });
  const taken = (await listProjects(configHome)).map(({ subnetPrefix }) => subnetPrefix);
  const own = {
    ...withoutAddresses(env),
    DEVSTACK_PROJECT: `devstack-drill-${randomBytes(3).toString('hex')}`,
    DEVSTACK_SUBNET_PREFIX: await freePrefix(docker, taken),
  };
  const { model } = await openStack({ root, configHome: home, env: own });
  return openStack({ root, configHome: home, env: { ...own, ...(await freePorts(model)) } });
}

// What a drill has made, also one that was killed.
async function sweepDrills({ root, env }: RecoverStackOptions, home: string): Promise<void> {
  for (const { id } of await listProjects(home))
    await reset(await openStack({ root, configHome: home, env: { ...withoutAddresses(env), DEVSTACK_PROJECT: id } }));
  await rm(home, { recursive: true, force: true });
}

function lazily<T>(open: () => Promise<T>): () => Promise<T> {
  let opened: Promise<T> | undefined;
  return async () => {
    try {
      return await (opened ??= open());
    } catch (error) {
      // What was missing may be there the next time, e.g. the configuration.
      opened = undefined;
      throw error;
    }
  };
}
