import { cp, mkdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { BackupStore } from '@devstack-core/backup-store';
import { ensurePrivateDirectory, writeFileDurable } from '@devstack-core/durable-files';
import { up, type OnEvent, type Stack } from '@devstack-core/stack-lifecycle';
import { readRootToken, restoreVault, snapshotVault, unsealVault } from '@devstack-core/vault-lifecycle';
import { bytesOf, partOf, unpackPart } from './set-files.ts';

/** The folders of a project that belong to its Vault. */
const folders = ['vault', 'approles', 'certificates'] as const;

/**
 * Replaces the data of a running Vault, with its keys, logins and certificates, by those of a set, and starts the stack's services with them.
 * A snapshot of the Vault that was there and its files are kept. Throws what Vault and the store throw.
 */
export async function restoreVaultAlone(
  stack: Stack,
  store: BackupStore,
  options: { readonly id: string; readonly onEvent?: OnEvent | undefined; readonly signal?: AbortSignal | undefined },
): Promise<{ readonly keptAt: string }> {
  const { id, signal } = options;
  const manifest = await store.read(id);
  const { artifact } = partOf(manifest, 'vault', 'raft');
  const snapshot = await bytesOf(store.open(id, artifact, signal === undefined ? {} : { signal }));
  const folder = stack.project.configDirectory;
  const work = join(dirname(folder), '.recovery');
  const unpacked = await unpackPart(store, manifest, {
    service: 'vault',
    part: 'vault',
    directory: join(work, 'vault'),
    ...(signal === undefined ? {} : { signal }),
  });
  const client = stack.vault(await readRootToken({ directory: stack.directories.vault }));
  const keptAt = join(work, `${stack.project.id}.vault-before-${id}`);
  await keep(folder, keptAt);
  await snapshotVault({ client, file: join(keptAt, 'raft.snap') });
  const running = (await (await stack.engine()).listContainers({ project: stack.project.id })).flatMap(
    ({ service }) => service ?? [],
  );
  await restoreVault({ client, data: snapshot, force: true });
  for (const name of folders) await replace(join(unpacked, name), join(folder, name));
  await rm(join(work, 'vault'), { recursive: true, force: true });
  // Made and delivered anew for the roots that are trusted now.
  for (const file of ['state/delivered.json', 'state/bootstrap.json', 'certificates/vault-server.pem'])
    await rm(join(folder, file), { force: true });
  await writeFileDurable(join(keptAt, 'README'), `Vault as it was before the backup ${id} was restored.\n`);
  await unsealVault({ client: stack.vault(), directory: stack.directories.vault });
  await up(stack, {
    services: running,
    signal,
    ...(options.onEvent === undefined ? {} : { onEvent: options.onEvent }),
  });
  return { keptAt };
}

async function keep(folder: string, keptAt: string): Promise<void> {
  await rm(keptAt, { recursive: true, force: true });
  await ensurePrivateDirectory(keptAt);
  for (const name of folders)
    await cp(join(folder, name), join(keptAt, name), { recursive: true, preserveTimestamps: true });
}

async function replace(from: string, to: string): Promise<void> {
  await rm(to, { recursive: true, force: true });
  await mkdir(dirname(to), { recursive: true, mode: 0o700 });
  await rename(from, to);
}
