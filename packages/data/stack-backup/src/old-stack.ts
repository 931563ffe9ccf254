import { existsSync } from 'node:fs';
import { readdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { KeptAside, StepContext } from '@devstack-core/disaster-recovery';
import { ensurePrivateDirectory } from '@devstack-core/durable-files';
import type { Stack } from '@devstack-core/stack-lifecycle';
import { copyLabel, copyVolume } from './volume-copy.ts';

/** What an old stack leaves in the way of a new one: volumes, and the folder with Vault's keys. */
const volumesId = 'volumes';
const folderId = 'configuration folder';

/** Takes the old stack out of the way, all of it kept: containers are removed, volumes copied, the folder moved. */
export async function oldStackAside(stack: Stack, context: StepContext): Promise<readonly string[]> {
  const docker = await stack.engine();
  await stack.compose.down(context.signal === undefined ? {} : { signal: context.signal });
  const found = await docker.listVolumes({ project: stack.project.id });
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
  const folder = stack.project.configDirectory;
  const keptAt = join(dirname(folder), '.recovery', `${stack.project.id}.before-${context.set.id}`);
  await context.keepAside({ id: folderId, what: 'the folder with keys and logins', keptAt }, async () => {
    await ensurePrivateDirectory(dirname(keptAt));
    await ensurePrivateDirectory(keptAt);
    // Each a rename: cut off in between, the next call moves the rest.
    for (const name of await ownEntries(folder)) await rename(join(folder, name), join(keptAt, name));
  });
  // Whatever is there now is of an attempt that was cut off, or has its copy.
  for (const { name } of await docker.listVolumes({ project: stack.project.id })) await docker.removeVolume(name);
  for (const name of await ownEntries(folder)) await rm(join(folder, name), { recursive: true, force: true });
  return old.length === 0 ? ['there was no old stack'] : [`kept ${String(old.length)} volumes of the old stack aside`];
}

/** Puts one thing of the old stack back in the place of the new one's. */
export async function putBack(stack: Stack, aside: KeptAside): Promise<void> {
  const docker = await stack.engine();
  const folder = stack.project.configDirectory;
  if (aside.id === folderId) {
    const { keptAt } = aside;
    if (keptAt === undefined || !existsSync(keptAt)) return;
    const kept = await readdir(keptAt);
    // Cut off while it was moved, nothing new was made yet: what is still in the folder is the original.
    if (aside.isComplete)
      for (const name of await ownEntries(folder)) await rm(join(folder, name), { recursive: true, force: true });
    for (const name of kept) await rename(join(keptAt, name), join(folder, name));
    await rm(keptAt, { recursive: true, force: true });
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

/** Removes what was kept of the old stack. */
export async function discard(stack: Stack, aside: KeptAside): Promise<void> {
  if (aside.keptAt === undefined) return;
  if (aside.id === folderId) await rm(aside.keptAt, { recursive: true, force: true });
  else await (await stack.engine()).removeVolume(aside.keptAt);
}

// The list of settings for compose is made anew by whoever opens the stack, and needed to stop it.
async function ownEntries(folder: string): Promise<readonly string[]> {
  return existsSync(folder) ? (await readdir(folder)).filter((name) => name !== 'compose.env') : [];
}
