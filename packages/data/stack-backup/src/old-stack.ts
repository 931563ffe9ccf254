import { existsSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { KeptAside, StepContext } from '@devstack-core/disaster-recovery';
import { ensurePrivateDirectory } from '@devstack-core/durable-files';
import type { Stack } from '@devstack-core/stack-lifecycle';
import { assertVolumesUnused, copyLabel, copyVolume } from './volume-copy.ts';

/** What an old stack leaves in the way of a new one: volumes, and the folder with Vault's keys. */
const volumesId = 'volumes';
const folderId = 'configuration folder';

/**
 * Takes the old stack out of the way, all of it kept: containers are removed, volumes copied, the folder moved. For a caller that holds the
 * stack's lease. Throws VOLUME_IN_USE before anything is touched, COPY_FAILED.
 */
export async function oldStackAside(stack: Stack, context: StepContext): Promise<readonly string[]> {
  const docker = await stack.engine();
  await stack.compose.down(context.signal === undefined ? {} : { signal: context.signal });
  const found = await docker.listVolumes({ project: stack.project.id });
  await assertVolumesUnused(
    docker,
    found.map(({ name }) => name),
  );
  const names = found.map(({ name }) => name).join(' ');
  // Which volumes are the old stack's is settled by the first attempt: a later one finds those of the new stack as well.
  await context.keepAside({ id: volumesId, what: 'the list of the volumes', data: { names } }, () => Promise.resolve());
  const known = context.aside.find(({ id }) => id === volumesId)?.data?.['names'];
  const old = (typeof known === 'string' ? known : names).split(' ').filter((name) => name !== '');
  for (const name of old) {
    const keptAt = `${name}.aside`;
    const labels = found.find((volume) => volume.name === name)?.labels ?? {};
    const data = Object.fromEntries(Object.entries(labels).map(([label, value]) => [`label ${label}`, value]));
    await context.keepAside({ id: `volume ${name}`, what: `the volume ${name}`, keptAt, data }, async () => {
      context.report(`keeping ${name}`);
      await copyVolume(docker, {
        from: name,
        to: keptAt,
        labels: { [copyLabel]: stack.project.id },
        signal: context.signal,
      });
    });
  }
  await folderAside(stack, context);
  // Whatever is there now is of an attempt that was cut off, or has its copy.
  for (const { name } of await docker.listVolumes({ project: stack.project.id })) await docker.removeVolume(name);
  await clearOwn(stack);
  return old.length === 0 ? ['there was no old stack'] : [`kept ${String(old.length)} volumes of the old stack aside`];
}

async function folderAside(stack: Stack, context: StepContext): Promise<void> {
  const folder = stack.project.configDirectory;
  const own = `${stack.project.id}.before-${context.set.id}-${randomBytes(3).toString('hex')}`;
  // The names tell a later rollback which entries are the old stack's, wherever it is cut off.
  const data = { names: (await ownEntries(folder)).join('\n') };
  const keptAt = join(dirname(folder), '.recovery', own);
  await context.keepAside({ id: folderId, what: 'the folder with keys and logins', keptAt, data }, async (aside) => {
    const place = aside.keptAt ?? keptAt;
    await ensurePrivateDirectory(dirname(place));
    await ensurePrivateDirectory(place);
    // Each a rename: cut off in between, the next call moves the rest.
    for (const name of await ownEntries(folder))
      if (!existsSync(join(place, name))) await moveEntry(join(folder, name), join(place, name));
  });
}

/** Puts one thing of the old stack back in the place of the new one's. For a caller that holds the stack's lease. */
export async function putBack(stack: Stack, aside: KeptAside): Promise<void> {
  const docker = await stack.engine();
  if (aside.id === folderId) {
    await folderBack(stack, aside);
    return;
  }
  if (aside.id === volumesId) {
    const old = String(aside.data?.['names'] ?? '').split(' ');
    for (const { name } of await docker.listVolumes({ project: stack.project.id }))
      if (!old.includes(name)) await docker.removeVolume(name);
    return;
  }
  if (aside.keptAt === undefined) return;
  const name = aside.keptAt.replace(/\.aside$/, '');
  if (aside.isComplete && (await docker.inspectVolume(aside.keptAt)) !== undefined) {
    const labels = Object.entries(aside.data ?? {}).flatMap(([key, value]) =>
      key.startsWith('label ') ? [[key.slice('label '.length), String(value)] as const] : [],
    );
    await copyVolume(docker, { from: aside.keptAt, to: name, labels: Object.fromEntries(labels) });
  }
  await docker.removeVolume(aside.keptAt);
}

// What is neither kept nor of the new stack is back already, from a rollback that was cut off.
async function folderBack(stack: Stack, { keptAt, isComplete, data }: KeptAside): Promise<void> {
  if (keptAt === undefined || !existsSync(keptAt)) return;
  const folder = stack.project.configDirectory;
  const old = new Set(String(data?.['names'] ?? '').split('\n'));
  const kept = await ownEntries(keptAt);
  for (const name of await ownEntries(folder))
    if (kept.includes(name) || (isComplete && !old.has(name)))
      await rm(join(folder, name), { recursive: true, force: true });
  for (const name of kept) await moveEntry(join(keptAt, name), join(folder, name));
  await rm(keptAt, { recursive: true, force: true });
}

/** Removes what was kept of the old stack. */
export async function discard(stack: Stack, aside: KeptAside): Promise<void> {
  if (aside.keptAt === undefined) return;
  if (aside.id === folderId) await rm(aside.keptAt, { recursive: true, force: true });
  else await (await stack.engine()).removeVolume(aside.keptAt);
}

async function clearOwn(stack: Stack): Promise<void> {
  const folder = stack.project.configDirectory;
  for (const name of await ownEntries(folder)) await rm(join(folder, name), { recursive: true, force: true });
}

async function moveEntry(from: string, to: string): Promise<void> {
  await mkdir(dirname(to), { recursive: true, mode: 0o700 });
  await rename(from, to);
}

// The list of settings for compose is made anew by whoever opens the stack, and needed to stop it; the lease is held meanwhile.
async function ownEntries(folder: string): Promise<readonly string[]> {
  const entries = existsSync(folder) ? await readdir(folder) : [];
  const state = entries.includes('state') ? await readdir(join(folder, 'state')) : [];
  return [
    ...entries.filter((name) => name !== 'compose.env' && name !== 'state'),
    ...state.filter((name) => name !== 'stack.lock').map((name) => `state/${name}`),
  ];
}
