import { existsSync } from 'node:fs';
import { cp, mkdir, readdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { BackupStore } from '@devstack-core/backup-store';
import { compareFingerprints, filesSource, type Fingerprint } from '@devstack-core/database-backup';
import type { RecoveryStep, StepContext } from '@devstack-core/disaster-recovery';
import { ensurePrivateDirectory } from '@devstack-core/durable-files';
import { artifactOf, bytesOf, unpackPart } from './set-files.ts';

/** Where the parts of the configuration go in a checkout. */
const places: Readonly<Record<string, string>> = { compose: 'infrastructure/compose', configs: 'configs', env: '.env' };

/**
 * The checkout's configuration: what is as in the set is left alone, what differs is put aside and replaced. What was put aside stays there
 * after the recovery, as it may be the newer one.
 */
export function configurationStep(options: {
  readonly store: BackupStore;
  /** The checkout. */
  readonly root: string;
  /** For what is put aside and what is being unpacked. */
  readonly work: string;
  /** A drill compares, and leaves the checkout alone. */
  readonly compareOnly: boolean;
}): RecoveryStep {
  const { store, root, work, compareOnly } = options;
  // Of its own for every recovery: what an earlier one has put aside stays.
  const asideFolder = join(work, `old-${new Date().toISOString().replaceAll(/[:.]/g, '')}`);
  const run = async (context: StepContext): Promise<{ readonly did: readonly string[] }> => {
    const manifest = await store.read(context.set.id);
    const did: string[] = [];
    for (const { name, service } of manifest.parts) {
      const place = service === 'configuration' ? places[name] : undefined;
      if (place === undefined) continue;
      if (await isAsInSet(context, name, join(root, place))) {
        did.push(`${place}: as in the backup`);
        continue;
      }
      const signal = context.signal;
      const unpacked = await unpackPart(store, manifest, { service, part: name, directory: join(work, 'new'), signal });
      if (compareOnly) {
        await rm(unpacked, { recursive: true, force: true });
        did.push(`${place}: differs from the backup, unpacked for a trial`);
        continue;
      }
      const isFolder = name !== 'env';
      const entries = isFolder ? await readdir(unpacked) : [''];
      for (const entry of entries) await replace(context, join(root, place, entry), join(unpacked, entry));
      await rm(unpacked, { recursive: true, force: true });
      did.push(`${place}: from the backup; what was there is in ${asideFolder}`);
    }
    return { did: did.length === 0 ? ['the backup has no configuration'] : did };
  };

  const isAsInSet = async (context: StepContext, name: string, path: string): Promise<boolean> => {
    const manifest = await store.read(context.set.id);
    const part = manifest.parts.find((one) => one.service === 'configuration' && one.name === name);
    if (part === undefined || part.fingerprintDigest === null || !existsSync(path)) return false;
    const artifact = artifactOf(manifest, 'configuration', name, 'fingerprint');
    const expected = JSON.parse(
      Buffer.from(await bytesOf(store.open(manifest.id, artifact))).toString(),
    ) as Fingerprint;
    const place = { roots: [{ name, path }] };
    return (
      compareFingerprints(expected, await filesSource.fingerprint(place, { ...part, service: 'configuration' }))
        .length === 0
    );
  };

  const replace = async (context: StepContext, path: string, by: string): Promise<void> => {
    const relative = path.slice(root.length + 1);
    const keptAt = join(asideFolder, relative);
    const isThere = existsSync(path);
    await context.keepAside({ id: relative, what: relative, ...(isThere ? { keptAt } : {}) }, async (aside) => {
      await ensurePrivateDirectory(work);
      if (existsSync(path)) await move(path, aside.keptAt ?? keptAt);
    });
    await rm(path, { recursive: true, force: true });
    await move(by, path);
  };

  return {
    run,
    describe: () =>
      Promise.resolve([compareOnly ? 'compare the configuration' : 'bring .env, compose files and configs back']),
    putBack: async (aside) => {
      const path = join(root, aside.id);
      if (aside.keptAt !== undefined && !existsSync(aside.keptAt)) return;
      await rm(path, { recursive: true, force: true });
      if (aside.keptAt !== undefined) await move(aside.keptAt, path);
    },
    undo: async () => {
      await rm(join(work, 'new'), { recursive: true, force: true });
    },
  };
}

// The checkout may be on another disk than the user's settings. What is at its new place is whole; cut off, it is called again.
async function move(from: string, to: string): Promise<void> {
  await mkdir(dirname(to), { recursive: true });
  if (!existsSync(to)) {
    try {
      await rename(from, to);
      return;
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EXDEV')) throw error;
    }
    const half = `${to}.half`;
    await rm(half, { recursive: true, force: true });
    await cp(from, half, { recursive: true, preserveTimestamps: true, verbatimSymlinks: true });
    await rename(half, to);
  }
  await rm(from, { recursive: true, force: true });
}
