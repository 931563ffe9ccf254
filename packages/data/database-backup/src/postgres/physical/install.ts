import { recover, runIn, type RecoverOptions, type RecoveryPlace } from './recovery.ts';

/** Where our image keeps the cluster on its volume. */
const clusterFolder = 'data';

/**
 * Recovers on the volume of a stopped service and puts the result in the place of its cluster by one exchange of names, for which the image
 * needs coreutils 9.5. Gives the folder, on the volume, in which the old one is kept. Throws RESTORE_FAILED, and then the old one is
 * untouched.
 */
export async function installRecovered(
  place: RecoveryPlace,
  options: RecoverOptions & {
    /** Asked while the new server runs; what it throws leaves the old one. */
    readonly prove?: (server: Awaited<ReturnType<typeof recover>>) => Promise<void>;
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
  const argv =
    there.exitCode === 0
      ? (['mv', '--exchange', '--no-target-directory', `${root}/data`, `${root}/../${clusterFolder}`] as const)
      : (['mv', '--no-target-directory', `${root}/data`, `${root}/../${clusterFolder}`] as const);
  await runIn(place, argv, 'Putting the new cluster in place', options.signal);
  await runIn(
    place,
    ['sh', '-c', 'sync "$1/.." && rm -rf "$1/links" "$1/wal" "$1/manifests" "$1/log" "$1/pg_hba.conf"', 'sh', root],
    'Cleaning up',
    options.signal,
  );
  return { kept: there.exitCode === 0 ? `${root.slice('/recovery/'.length)}/data` : undefined };
}
