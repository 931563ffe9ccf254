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
import { listProjects, openStack, reset, type OnEvent, type Stack } from '@devstack-core/stack-lifecycle';
import { recoverySource } from './recovery-source.ts';
import { stackRecoverySteps } from './recovery-steps.ts';

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
  return recover({
    ...common,
    steps: stepsOf(options, {
      stack: lazily(() => stackOf(options, options.configHome)),
      isDrill: false,
      work: common.directory,
    }),
    resume: options.resume,
    confirm: options.confirm,
  });
}

/** Proves that the newest set can be restored, by restoring it for a trial, and plans. Changes nothing. */
export async function dryRunStack(options: RecoverStackOptions): Promise<DryRunReport> {
  const common = await commonOf(options);
  const stack = lazily(() => stackOf(options, options.configHome));
  return dryRun({ ...common, steps: stepsOf(options, { stack, isDrill: false, work: common.directory }) });
}

/** The same steps into a stack of its own, which is thrown away afterwards. */
export async function drillStack(options: RecoverStackOptions): Promise<RecoveryReport> {
  const common = await commonOf(options);
  const home = join(common.directory, 'drill');
  await sweepDrills(options, home);
  return drillRecovery({
    ...common,
    openTarget: async () => {
      const project = `devstack-drill-${randomBytes(3).toString('hex')}`;
      await ensurePrivateDirectory(home);
      const stack = lazily(() =>
        openStack({
          root: options.root,
          configHome: home,
          env: { ...withoutProject(options.env), DEVSTACK_PROJECT: project },
        }),
      );
      return {
        steps: stepsOf(options, { stack, isDrill: true, work: join(home, 'work') }),
        [Symbol.asyncDispose]: async () => {
          await reset(await stack());
          await rm(home, { recursive: true, force: true });
        },
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
  more: { readonly stack: () => Promise<Stack>; readonly isDrill: boolean; readonly work: string },
): ReturnType<typeof stackRecoverySteps> {
  return stackRecoverySteps({ store, root, env, ...more, ...(onEvent === undefined ? {} : { onEvent }) });
}

// The project that the set is of, with its addresses, unless the caller names another.
async function stackOf(options: RecoverStackOptions, configHome: string): Promise<Stack> {
  const { store, root, env } = options;
  const id =
    options.backup ?? (await unfinishedRecovery(join(configHome, '.recovery')))?.backupId ?? (await newest(store));
  const recorded = id === undefined ? {} : projectOf(await store.read(id));
  return openStack({ root, configHome, env: { ...recorded, ...env } });
}

async function newest(store: BackupStore): Promise<string | undefined> {
  return (await store.list()).find(({ status }) => status === 'complete')?.id;
}

function projectOf(manifest: SetManifest): Record<string, string> {
  const metadata = manifest.parts.find(({ service }) => service === 'configuration')?.metadata;
  const [project, prefix, offset] = [metadata?.['project'], metadata?.['subnetPrefix'], metadata?.['portOffset']];
  return {
    ...(typeof project === 'string' ? { DEVSTACK_PROJECT: project } : {}),
    ...(typeof prefix === 'string' ? { DEVSTACK_SUBNET_PREFIX: prefix } : {}),
    ...(typeof offset === 'number' ? { DEVSTACK_PORT_OFFSET: String(offset) } : {}),
  };
}

function withoutProject(env: RecoverStackOptions['env']): Record<string, string | undefined> {
  return { ...env, DEVSTACK_PROJECT: undefined, DEVSTACK_SUBNET_PREFIX: undefined, DEVSTACK_PORT_OFFSET: undefined };
}

// What a drill that was killed has left.
async function sweepDrills(options: RecoverStackOptions, home: string): Promise<void> {
  for (const { id } of await listProjects(home)) {
    const env = { ...withoutProject(options.env), DEVSTACK_PROJECT: id };
    await reset(await openStack({ root: options.root, configHome: home, env }));
  }
  await rm(home, { recursive: true, force: true });
}

function lazily<T>(open: () => Promise<T>): () => Promise<T> {
  let opened: Promise<T> | undefined;
  return () => (opened ??= open());
}
