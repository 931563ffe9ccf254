import type { BackupStore, SetManifest } from '@devstack-core/backup-store';
import { compareFingerprints, type Fingerprint } from '@devstack-core/database-backup';
import { fingerprintVault, vaultFingerprintKey, type StepContext } from '@devstack-core/disaster-recovery';
import { DevstackError } from '@devstack-core/errors';
import { health, up, type Stack } from '@devstack-core/stack-lifecycle';
import { readRootToken } from '@devstack-core/vault-lifecycle';
import { StackBackupErrorCode } from './errors.ts';
import type { RestoredPart } from './restore.ts';
import { artifactOf, bytesOf } from './set-files.ts';
import { compareStack } from './stack-backup.ts';

/**
 * The proof of a recovery: every part compared with the set's fingerprints, Vault's secrets, and every service asked. Throws
 * RECOVERY_NOT_PROVEN, INTERRUPTED.
 */
export async function prove(
  store: BackupStore,
  stack: Stack,
  { set, signal }: Pick<StepContext, 'set' | 'signal'>,
): Promise<{ readonly did: readonly string[] }> {
  const manifest = await store.read(set.id);
  const compared = await compareStack(stack, store, { id: set.id, signal });
  const vault = await compareVault(store, stack, manifest);
  const services = servicesOf(manifest).map((name) => stack.model.service(name));
  // What was stopped for the comparison takes a moment to answer again.
  await up(stack, { services: services.map(({ name }) => name), signal });
  const report = await health(stack, services, { signal });
  const problems = [
    ...missingParts(manifest, compared),
    ...compared.flatMap(problemOf),
    ...(vault?.problems ?? []),
    ...report.services.flatMap((one) => (one.healthy ? [] : [`${one.service}: ${one.reason ?? 'not healthy'}`])),
  ];
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
      vault === undefined
        ? 'the backup has no fingerprint of Vault: its secrets were not compared'
        : `${String(vault.secrets)} secrets of Vault are as in the backup`,
      `${String(report.services.length)} services are healthy`,
    ],
  };
}

/** What ran when the set was made. */
export function servicesOf(manifest: SetManifest): readonly string[] {
  const recorded = manifest.parts.find(({ service }) => service === 'configuration')?.metadata?.['services'];
  return Array.isArray(recorded) ? (recorded as readonly string[]) : ['vault', 'postgres'];
}

/** Vault and configuration have steps of their own. */
export function isDatabasePart({ service }: { readonly service: string }): boolean {
  return service !== 'vault' && service !== 'configuration';
}

// A part that nobody here knows how to restore must not pass for restored.
function missingParts(manifest: SetManifest, compared: readonly RestoredPart[]): readonly string[] {
  const known = new Set(compared.map(({ service, part }) => `${service}/${part}`));
  return manifest.parts
    .filter((part) => isDatabasePart(part) && !known.has(`${part.service}/${part.name}`))
    .map(({ service, name }) => `${service}/${name} was not restored`);
}

function problemOf({ service, part, consistency, differences }: RestoredPart): readonly string[] {
  if (consistency !== 'exact' || differences === null || differences.length === 0) return [];
  const first = differences.slice(0, 3).map(({ kind, name, problem }) => `${kind} ${name} ${problem}`);
  return [`${service}/${part}: ${first.join(', ')}`];
}

// Policies and roles are brought to what the checkout and its networks say; the secrets must be the same.
async function compareVault(
  store: BackupStore,
  stack: Stack,
  manifest: SetManifest,
): Promise<{ readonly secrets: number; readonly problems: readonly string[] } | undefined> {
  const part = manifest.parts.find(({ service, name }) => service === 'vault' && name === 'raft');
  if (part === undefined || part.fingerprintDigest === null) return undefined;
  const artifact = artifactOf(manifest, 'vault', 'raft', 'fingerprint');
  const expected = JSON.parse(Buffer.from(await bytesOf(store.open(manifest.id, artifact))).toString()) as Fingerprint;
  const token = await readRootToken({ directory: stack.directories.vault });
  const found = await fingerprintVault({ client: stack.vault(token), key: vaultFingerprintKey(token) });
  const differences = compareFingerprints(expected, found);
  return {
    secrets: expected.items.filter(({ kind }) => kind === 'secret').length,
    problems: differences
      .filter(({ kind, problem }) => kind === 'secret' && problem !== 'unexpected')
      .map(({ name, problem }) => `vault/${name}: ${problem}`),
  };
}
