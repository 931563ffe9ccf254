import { existsSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { BackupStore, SetManifest } from '@devstack-core/backup-store';
import { compareFingerprints, type Fingerprint } from '@devstack-core/database-backup';
import {
  fingerprintVault,
  startDockerEngine,
  vaultFingerprintKey,
  type RecoveryStep,
  type RecoverySteps,
  type StepContext,
} from '@devstack-core/disaster-recovery';
import { ensurePrivateDirectory } from '@devstack-core/durable-files';
import { DevstackError } from '@devstack-core/errors';
import { health, up, type OnEvent, type Stack } from '@devstack-core/stack-lifecycle';
import { readKeys, readRootToken, restoreVault, unsealVault } from '@devstack-core/vault-lifecycle';
import { configurationStep } from './configuration-step.ts';
import { StackBackupErrorCode } from './errors.ts';
import { discard, oldStackAside, putBack } from './old-stack.ts';
import { artifactOf, bytesOf, partOf, unpackPart } from './set-files.ts';
import { compareStack, restoreStack } from './stack-backup.ts';

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
        await (await stack()).compose.down();
      },
      putBack: async (aside) => putBack(await stack(), aside),
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
        const databases = parts.filter(({ service }) => service !== 'vault' && service !== 'configuration');
        return [
          `restore ${String(databases.length)} parts: ${databases.map(({ service, name }) => `${service}/${name}`).join(', ')}`,
        ];
      },
      run: async ({ set, signal }) => {
        const compared = await restoreStack(await stack(), store, { id: set.id, onEvent, signal });
        return { did: [`restored ${String(compared.length)} parts`] };
      },
    },
    proof: {
      describe: () =>
        Promise.resolve(['compare everything with the fingerprints of the backup, and ask every service']),
      run: (context) => prove(options, context),
    },
  };
}

function engineStep({ env, work }: StackRecoveryOptions): RecoveryStep {
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
      return { did };
    },
  };
}

async function restoreVaultStep(
  options: StackRecoveryOptions,
  context: StepContext,
): Promise<{ readonly did: readonly string[] }> {
  const { store, onEvent } = options;
  const { signal } = context;
  const stack = await options.stack();
  const manifest = await store.read(context.set.id);
  const snapshot = await bytesOf(store.open(manifest.id, partOf(manifest, 'vault', 'raft').artifact));
  const did = [...(await oldStackAside(stack, context))];
  const folder = stack.project.configDirectory;
  await ensurePrivateDirectory(folder);
  const staging = join(options.work, 'vault');
  const unpacked = await unpackPart(store, manifest, { service: 'vault', part: 'vault', directory: staging, signal });
  const keys = await readKeys({ directory: join(unpacked, 'vault') });
  // The root first: the new Vault is reached by the certificates that clients trust already.
  await move(join(unpacked, 'certificates'), join(folder, 'certificates'));
  await up(stack, { services: ['vault'], signal, ...(onEvent === undefined ? {} : { onEvent }) });
  const throwaway = await readKeys({ directory: stack.directories.vault });
  if (throwaway.shares !== keys.shares || throwaway.threshold !== keys.threshold)
    throw new DevstackError({
      code: StackBackupErrorCode.otherShares,
      message: `The Vault of the backup has ${String(keys.threshold)} of ${String(keys.shares)} keys, and new ones are made with ${String(throwaway.threshold)} of ${String(throwaway.shares)}.`,
      hint: "Restore Vault by hand: the set's RECOVERY.md says how.",
    });
  const client = stack.vault(await readRootToken({ directory: stack.directories.vault }));
  await restoreVault({ client, data: snapshot, force: true });
  // From here on the old keys are the right ones, and what the throw-away Vault has left is not.
  for (const name of ['vault', 'approles', 'state']) {
    await rm(join(folder, name), { recursive: true, force: true });
    if (existsSync(join(unpacked, name))) await move(join(unpacked, name), join(folder, name));
  }
  // What was delivered into volumes that are gone is delivered again.
  await rm(join(folder, 'state', 'delivered.json'), { force: true });
  await rm(staging, { recursive: true, force: true });
  await unsealVault({ client: stack.vault(), directory: stack.directories.vault });
  did.push(`Vault is restored and unsealed with its own keys (${String(keys.threshold)} of ${String(keys.shares)})`);
  return { did };
}

async function move(from: string, to: string): Promise<void> {
  await mkdir(dirname(to), { recursive: true, mode: 0o700 });
  await rm(to, { recursive: true, force: true });
  await rename(from, to);
}

async function prove(
  options: StackRecoveryOptions,
  { set, signal }: StepContext,
): Promise<{ readonly did: readonly string[] }> {
  const { store } = options;
  const stack = await options.stack();
  const manifest = await store.read(set.id);
  const problems: string[] = [];
  const compared = await compareStack(stack, store, { id: set.id, signal });
  for (const { service, part, consistency, differences } of compared)
    if (consistency === 'exact' && differences !== null && differences.length > 0)
      problems.push(
        `${service}/${part}: ${differences
          .slice(0, 3)
          .map(({ kind, name, problem }) => `${kind} ${name} ${problem}`)
          .join(', ')}`,
      );
  const artifact = artifactOf(manifest, 'vault', 'raft', 'fingerprint');
  const expected = JSON.parse(Buffer.from(await bytesOf(store.open(set.id, artifact))).toString()) as Fingerprint;
  const token = await readRootToken({ directory: stack.directories.vault });
  const found = await fingerprintVault({ client: stack.vault(token), key: vaultFingerprintKey(token) });
  // Policies and roles are brought to what the checkout and its networks say; the secrets must be the same.
  const secrets = compareFingerprints(expected, found).filter(
    ({ kind, problem }) => kind === 'secret' && problem !== 'unexpected',
  );
  problems.push(...secrets.map(({ name, problem }) => `vault/${name}: ${problem}`));
  const services = servicesOf(manifest).map((name) => stack.model.service(name));
  const report = await health(stack, services, { signal });
  problems.push(
    ...report.services.flatMap((one) => (one.healthy ? [] : [`${one.service}: ${one.reason ?? 'not healthy'}`])),
  );
  if (problems.length > 0)
    throw new DevstackError({
      code: StackBackupErrorCode.notProven,
      message: `What was recovered is not what the backup ${set.id} says: ${problems.join('; ')}.`,
      hint: 'Use another set (devstack recover --backup ID), or look at it with devstack backup verify.',
      details: { problems },
    });
  const exact = compared.filter(
    ({ consistency, differences }) => consistency === 'exact' && differences !== null,
  ).length;
  return {
    did: [
      `${String(exact)} of ${String(compared.length)} parts are exactly as in the backup`,
      `${String(expected.items.filter(({ kind }) => kind === 'secret').length)} secrets of Vault are as in the backup`,
      `${String(report.services.length)} services are healthy`,
    ],
  };
}

/** What ran when the set was made. */
function servicesOf(manifest: SetManifest): readonly string[] {
  const recorded = manifest.parts.find(({ service }) => service === 'configuration')?.metadata?.['services'];
  return Array.isArray(recorded) ? (recorded as readonly string[]) : ['vault', 'postgres'];
}
