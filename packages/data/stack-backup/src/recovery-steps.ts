import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { BackupStore } from '@devstack-core/backup-store';
import { startDockerEngine, type RecoveryStep, type RecoverySteps } from '@devstack-core/disaster-recovery';
import { ensurePrivateDirectory } from '@devstack-core/durable-files';
import { up, withStackLease, type OnEvent, type Stack } from '@devstack-core/stack-lifecycle';
import { configurationStep } from './configuration-step.ts';
import { discard, putBack } from './old-stack.ts';
import { isDatabasePart, prove, servicesOf } from './prove.ts';
import { restoreVaultStep, stagingOf } from './restore-vault-step.ts';
import { restoreDatabases } from './stack-backup.ts';

/** What the steps of a recovery work on. */
export interface StackRecoveryOptions {
  readonly store: BackupStore;
  /** The stack that is to be; opened when Docker runs. */
  readonly stack: () => Promise<Stack>;
  /** The checkout. */
  readonly root: string;
  /** A private folder for what is unpacked and put aside; outside of everything that is restored. */
  readonly work: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** True for a drill: the checkout is left alone. */
  readonly isDrill: boolean;
  /** The stack that was there before: what of it ran, and how that is started again where the recovery is taken back. */
  readonly before?: {
    readonly running: () => Promise<readonly string[]>;
    readonly start: (services: readonly string[]) => Promise<void>;
  };
  readonly onEvent?: OnEvent | undefined;
}

/** The steps of a stack's recovery, for `recover` and `drillRecovery`. */
export function stackRecoverySteps(options: StackRecoveryOptions): RecoverySteps {
  const { store, stack } = options;
  const onEvent = options.onEvent ?? ((): void => undefined);
  return {
    engine: engineStep(options),
    configuration: configurationStep({
      store,
      root: options.root,
      work: join(options.work, 'configuration'),
      compareOnly: options.isDrill,
    }),
    vault: {
      describe: () =>
        Promise.resolve(["bring Vault's keys, data, logins and certificates back; what is there is kept aside"]),
      run: (context) => restoreVaultStep(options, context),
      undo: async () => {
        await rm(stagingOf(options), { recursive: true, force: true });
        await (await stack()).compose.down();
      },
      putBack: async (aside) => {
        const opened = await stack();
        await withStackLease(opened, { owner: 'devstack recover' }, () => putBack(opened, aside));
      },
      discard: async (aside) => discard(await stack(), aside),
    },
    services: {
      describe: async (set) => [`start ${servicesOf(await store.read(set.id)).join(', ')}`],
      run: async ({ set, signal }) => {
        const services = servicesOf(await store.read(set.id));
        const result = await up(await stack(), { services, onEvent, signal });
        return { did: [`${String(result.services.length)} services are healthy`] };
      },
      undo: async () => {
        await (await stack()).compose.down();
      },
    },
    databases: {
      describe: async (set) => {
        const { parts } = await store.read(set.id);
        const databases = parts.filter(isDatabasePart);
        return [
          `restore ${String(databases.length)} parts: ${databases.map(({ service, name }) => `${service}/${name}`).join(', ')}`,
        ];
      },
      run: async ({ set, signal }) => {
        if (!(await store.read(set.id)).parts.some(isDatabasePart)) return { did: ['the backup has no databases'] };
        const restored = await restoreDatabases(await stack(), store, { id: set.id, onEvent, signal });
        return { did: [`restored ${String(restored.length)} parts`] };
      },
    },
    proof: {
      describe: () =>
        Promise.resolve(['compare everything with the fingerprints of the backup, and ask every service']),
      run: async (context) => prove(store, await stack(), context),
    },
  };
}

function engineStep({ env, work, before, onEvent }: StackRecoveryOptions): RecoveryStep {
  return {
    describe: () => Promise.resolve(['start Docker where it does not run']),
    run: async (context) => {
      await ensurePrivateDirectory(work);
      const { did } = await startDockerEngine({
        env,
        logFile: join(work, 'dockerd.log'),
        onProgress: (text) => {
          context.report(text);
        },
      });
      const services = (await before?.running())?.join(' ') ?? '';
      const aside = { id: 'what ran', what: 'the services that ran', data: { services } };
      if (services !== '') await context.keepAside(aside, () => Promise.resolve());
      return { did };
    },
    // The last thing to be put back: everything else is as it was.
    putBack: async ({ data }) => {
      const services = String(data?.['services'] ?? '').split(' ');
      try {
        await before?.start(services);
      } catch (error) {
        // It may have been the reason for the recovery that it does not start.
        onEvent?.({
          type: 'warning',
          code: 'NOT_STARTED',
          text: `What ran before could not be started again: ${error instanceof Error ? error.message : String(error)}`,
          hint: `devstack up ${services.join(' ')}`,
        });
      }
    },
  };
}
