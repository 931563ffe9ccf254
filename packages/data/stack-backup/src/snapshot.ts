import type { BackupStore, SetManifest } from '@devstack-core/backup-store';
import { compareFingerprints, volumeAdapter, type Fingerprint } from '@devstack-core/database-backup';
import type { DockerEngine } from '@devstack-core/docker-engine';
import { DevstackError } from '@devstack-core/errors';
import { bringDown, bringUp, withStackLease, type OnEvent, type Stack } from '@devstack-core/stack-lifecycle';
import { openConfigurationParts } from './configuration-source.ts';
import { createBackup, type CreatedBackup } from './create.ts';
import { StackBackupErrorCode } from './errors.ts';
import { atPlace, type ServiceBackup } from './service-backup.ts';
import { artifactOf, bytesOf, partOf } from './set-files.ts';
import { openVaultFiles } from './vault-source.ts';
import { assertVolumesUnused, copyLabel, copyVolume } from './volume-copy.ts';

/** The image whose tar reads and writes volumes. */
const image = 'devstack/base:local';

/** How to take or to restore a snapshot. */
export interface SnapshotOptions {
  readonly onEvent?: OnEvent | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Stops the stack, packs every volume and Vault's files as they are into one set, and starts what ran before, also when it fails. Nothing
 * writes meanwhile: whatever engine it is, what comes back is what was there.
 */
export async function createSnapshot(
  stack: Stack,
  store: BackupStore,
  options: SnapshotOptions = {},
): Promise<CreatedBackup> {
  const { signal } = options;
  return withStackLease(stack, { owner: 'devstack snapshot create', signal }, () => createHeld(stack, store, options));
}

async function createHeld(
  stack: Stack,
  store: BackupStore,
  { onEvent, signal }: SnapshotOptions,
): Promise<CreatedBackup> {
  const running = await runningServices(stack);
  const events = { ...(onEvent === undefined ? {} : { onEvent }), signal };
  await sweepRestored(stack);
  await bringDown(stack, events);
  try {
    const volumes = await volumesOf(stack);
    return await createBackup(store, {
      project: stack.project.id,
      services: [
        { service: 'vault', open: () => openVaultFiles(stack, { name: image, id: '' }, signal) },
        { service: 'configuration', open: () => openConfigurationParts(stack, running, signal) },
        ...volumes,
      ],
      onEvent,
      signal,
    });
  } finally {
    // Without the caller's signal: an interrupted snapshot leaves a running stack.
    if (running.length > 0) await bringUp(stack, { services: running, ...(onEvent === undefined ? {} : { onEvent }) });
  }
}

/**
 * Puts every volume back as a snapshot has it: each is restored beside the old one and compared, and only when all are, they take the old
 * ones' places. Throws RESTORE_FAILED and RECOVERY_NOT_PROVEN before anything was replaced, VOLUME_IN_USE, COPY_FAILED; run again, it begins anew. Vault's files stay as they are: they open the same Vault.
 */
export async function restoreSnapshot(
  stack: Stack,
  store: BackupStore,
  options: SnapshotOptions & { readonly id: string },
): Promise<{ readonly volumes: readonly string[] }> {
  const { signal } = options;
  return withStackLease(stack, { owner: 'devstack snapshot restore', signal }, () =>
    restoreHeld(stack, store, options),
  );
}

async function restoreHeld(
  stack: Stack,
  store: BackupStore,
  options: SnapshotOptions & { readonly id: string },
): Promise<{ readonly volumes: readonly string[] }> {
  const { id, onEvent, signal } = options;
  const docker = await stack.engine();
  const manifest = await store.read(id);
  const parts = manifest.parts.filter(({ kind }) => kind === 'volume');
  if (parts.length === 0)
    throw new DevstackError({
      code: StackBackupErrorCode.nothingSelected,
      message: `The backup ${id} has no volumes.`,
      hint: 'Snapshots are listed by: devstack snapshot list',
    });
  const running = await runningServices(stack);
  const recorded = recordedServices(manifest.parts.find((one) => one.service === 'configuration')?.metadata);
  const names = parts.map(({ name }) => name);
  const events = { ...(onEvent === undefined ? {} : { onEvent }), signal };
  await sweepRestored(stack);
  try {
    for (const { service, name } of parts) {
      onEvent?.({ type: 'progress', step: 'snapshot', text: `restoring ${name}` });
      await restoreBeside(stack, store, manifest, { service, name, signal });
    }
    await bringDown(stack, { remove: true, ...events });
    await assertVolumesUnused(docker, names);
    const found = await docker.listVolumes({ project: stack.project.id });
    for (const { name, metadata } of parts) {
      const labels = found.find((one) => one.name === name)?.labels ?? labelsOf(metadata?.['labels']);
      // Cut off here, the volume is made anew by the next call: the snapshot has all of it.
      await copyVolume(docker, { from: fresh(name), to: name, labels, signal });
    }
  } finally {
    await sweepRestored(stack);
  }
  await bringUp(stack, { services: running.length > 0 ? running : recorded, ...events });
  return { volumes: names };
}

function fresh(volume: string): string {
  return `${volume}.restored`;
}

// Of a run that was cut off, too.
async function sweepRestored(stack: Stack): Promise<void> {
  const docker = await stack.engine();
  for (const { name } of await docker.listVolumes({ labels: { [copyLabel]: stack.project.id } }))
    if (name.endsWith('.restored')) await docker.removeVolume(name);
}

async function restoreBeside(
  stack: Stack,
  store: BackupStore,
  manifest: SetManifest,
  {
    service,
    name,
    signal,
  }: { readonly service: string; readonly name: string; readonly signal: AbortSignal | undefined },
): Promise<void> {
  const { id } = manifest;
  const { part, artifact } = partOf(manifest, service, name);
  const place = placeOf(await stack.engine(), fresh(name), stack.project.id);
  // Not with its own labels, as compose would take it for the stack's own.
  const stored = { ...part, service, metadata: { labels: [`${copyLabel}=${stack.project.id}`] } };
  const withSignal = signal === undefined ? {} : { signal };
  await volumeAdapter.restore(place, stored, store.open(id, artifact, withSignal), withSignal);
  const content = store.open(id, artifactOf(manifest, service, name, 'fingerprint'));
  const expected = JSON.parse(Buffer.from(await bytesOf(content)).toString()) as Fingerprint;
  const differences = compareFingerprints(expected, await volumeAdapter.fingerprint(place, stored, withSignal));
  if (differences.length > 0)
    throw new DevstackError({
      code: StackBackupErrorCode.notProven,
      message: `The volume ${name} did not come back as it was: ${String(differences.length)} files differ.`,
      hint: 'Use another snapshot.',
    });
}

async function runningServices(stack: Stack): Promise<readonly string[]> {
  const containers = await (await stack.engine()).listContainers({ project: stack.project.id });
  return containers.flatMap(({ service }) => (service === undefined ? [] : [service]));
}

async function volumesOf(stack: Stack): Promise<readonly Pick<ServiceBackup, 'service' | 'open'>[]> {
  const docker = await stack.engine();
  const volumes = await docker.listVolumes({ project: stack.project.id });
  return volumes.map(({ name }) => atPlace('volumes', volumeAdapter, placeOf(docker, name, stack.project.id)));
}

function placeOf(docker: DockerEngine, volume: string, project: string): Parameters<typeof volumeAdapter.open>[0] {
  return { docker, volume, image, labels: { 'io.devstack.project': project } };
}

function labelsOf(value: unknown): Readonly<Record<string, string>> {
  const lines = Array.isArray(value) ? value.map(String) : [];
  return Object.fromEntries(lines.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]));
}

function recordedServices(metadata: Readonly<Record<string, unknown>> | undefined): readonly string[] {
  const services = metadata?.['services'];
  return Array.isArray(services) ? services.map(String) : ['vault'];
}
