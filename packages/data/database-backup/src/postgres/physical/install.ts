import type { DockerEngine } from '@devstack-core/docker-engine';
import { failure } from '../failure.ts';
import { markFinished, markUnfinished, recover, runIn, type RecoverOptions, type RecoveryPlace } from './recovery.ts';

/** Where our image keeps the cluster on its volume. */
const clusterFolder = 'data';

/**
 * Recovers on the volume of a service and puts the result in the place of its cluster by one exchange of names, for which the image
 * needs coreutils 9.5. Gives the folder, on the volume, in which the old one is kept. Throws RESTORE_FAILED, and then the old one is
 * untouched.
 */
export async function installRecovered(
  place: RecoveryPlace,
  options: RecoverOptions & {
    /** Asked while the new server runs; what it throws leaves the old one. */
    readonly prove?: (server: Awaited<ReturnType<typeof recover>>) => Promise<void>;
    /** The new cluster is whole and on the disk: the service is stopped here, at the latest. What it throws leaves the old one. */
    readonly beforeExchange?: () => Promise<void>;
  },
): Promise<{ readonly kept: string | undefined }> {
  const server = await recover(place, options);
  await options.prove?.(server);
  const { root } = place;
  await runIn(
    place,
    ['pg_ctl', 'stop', '--mode=fast', '--wait', '--timeout=600', `--pgdata=${root}/data`],
    'Stopping the new server',
    options.signal,
  );
  // Everything is on the disk before the names change.
  await runIn(place, ['initdb', '--sync-only', `--pgdata=${root}/data`], 'Writing the new cluster', options.signal);
  const there = await place.docker.exec(place.container, ['test', '-e', `${root}/../${clusterFolder}`]);
  const how = there.exitCode === 0 ? ['--exchange', '--no-target-directory'] : ['--no-target-directory'];
  await options.beforeExchange?.();
  // From here on nothing is broken off: what is where must be known.
  await markFinished(place);
  const moved = await place.docker.exec(place.container, ['mv', ...how, `${root}/data`, `${root}/../${clusterFolder}`]);
  if (moved.exitCode !== 0) {
    // Said by the program itself: no answer at all would not tell which of the two is in the folder.
    await markUnfinished(place);
    throw failure('restore', 'Putting the new cluster in place', moved.exitCode, `error: ${moved.stderr}`);
  }
  const left = ['links', 'wal', 'history', 'manifests', 'log', 'pg_hba.conf'].map((name) => `${root}/${name}`);
  await place.docker.exec(place.container, ['sh', '-c', 'sync "$1"; shift; rm -rf "$@"', 'sh', `${root}/..`, ...left]);
  return { kept: there.exitCode === 0 ? `${root.slice('/recovery/'.length)}/data` : undefined };
}

/** A cluster that `installRecovered` has kept, on the volume of a stopped service. */
export interface KeptCluster {
  readonly docker: DockerEngine;
  /** That of the service. */
  readonly image: string;
  readonly volume: string;
  /** As `installRecovered` gave it. */
  readonly kept: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** Puts the kept cluster back in its place, and what is there in its. Throws RESTORE_FAILED. */
export async function exchangeBack(options: KeptCluster): Promise<void> {
  const { kept } = options;
  await onVolume(options, [
    'mv',
    '--exchange',
    '--no-target-directory',
    `/recovery/${kept}`,
    `/recovery/${clusterFolder}`,
  ]);
}

/** Removes a kept cluster for good. Throws RESTORE_FAILED. */
export async function removeKept(options: KeptCluster): Promise<void> {
  await onVolume(options, ['rm', '-rf', `/recovery/${options.kept.replace(/\/data$/, '')}`]);
}

async function onVolume(
  { docker, image, volume, labels }: KeptCluster,
  argv: readonly [string, ...string[]],
): Promise<void> {
  const { exitCode, stderr } = await docker.runEphemeral({
    image,
    argv,
    user: 'postgres',
    labels,
    binds: [`${volume}:/recovery`],
  });
  if (exitCode !== 0) throw failure('restore', 'Putting the clusters in their places', exitCode, `error: ${stderr}`);
}
