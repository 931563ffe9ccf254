import type { EphemeralContainer } from '@devstack-core/docker-engine';
import { lastLine } from '../engine-failure.ts';
import { ArchiveGuard } from '../files/safe-path.ts';
import { TarDigest } from '../files/tar-digest.ts';
import { startThrowaway } from '../throwaway.ts';
import type { Fingerprint } from '../types.ts';
import type { VolumePlace } from './volume-place.ts';

/** Where helper containers mount the volume. */
export const mountPoint = '/volume';
/** In a volume that is being filled: one that still has it is half of one. */
export const marker = '.devstack-restore-incomplete';

/** A container that has the volume and nothing else: no network, and of capabilities what reading or writing foreign files needs. */
export async function openVolume(
  place: VolumePlace,
  mode: 'ro' | 'rw',
  signal: AbortSignal | undefined,
): Promise<EphemeralContainer> {
  return startThrowaway({
    docker: place.docker,
    image: place.image,
    labels: place.labels,
    what: 'container for a volume',
    // A shell in the foreground would not hear SIGTERM; the container is killed anyway.
    argv: ['sleep', 'infinity'],
    user: '0:0',
    binds: [`${place.volume}:${mountPoint}:${mode === 'ro' ? 'ro,nocopy' : 'nocopy'}`],
    capAdd: mode === 'ro' ? ['DAC_OVERRIDE'] : ['DAC_OVERRIDE', 'CHOWN', 'FOWNER', 'FSETID'],
    memoryBytes: 512 * 1024 ** 2,
    ...(signal === undefined ? {} : { signal }),
  });
}

const packArguments = [
  '--create',
  '--file=-',
  '--format=posix',
  // Nothing of the moment in the headers, so that archives of the same files have much in common.
  '--pax-option=delete=atime,delete=ctime,exthdr.name=%d/PaxHeaders/%f',
  '--numeric-owner',
  '--xattrs',
  '--acls',
  '--sparse',
  '--sort=name',
  `--exclude=./${marker}`,
] as const;

/** A folder of the container as an archive. Throws an `Error` unless tar was content: a file that changed meanwhile is a failure. */
export async function* packFolder(
  place: Pick<VolumePlace, 'docker'>,
  container: string,
  folder: string,
  options: { readonly exclude?: readonly string[]; readonly signal?: AbortSignal | undefined } = {},
): AsyncGenerator<Uint8Array, void, undefined> {
  const exclude = (options.exclude ?? []).map((pattern) => `--exclude=${pattern}`);
  const tar = await place.docker.execStream(
    container,
    ['tar', ...packArguments, ...exclude, `--directory=${folder}`, '.'],
    options.signal === undefined ? {} : { signal: options.signal },
  );
  yield* tar.stdout;
  const { exitCode, stderr } = await tar.ended;
  if (exitCode !== 0) throw new Error(`tar ended with exit code ${String(exitCode)} (${lastLine(stderr)})`);
}

/** The fingerprint of a folder of the container, from the archive that a dump would have. */
export async function digestFolder(...parameters: Parameters<typeof packFolder>): Promise<Fingerprint> {
  const digest = new TarDigest();
  for await (const chunk of packFolder(...parameters)) digest.push(chunk);
  return digest.finish();
}

/**
 * Unpacks an archive into an empty folder of the container. Each member is looked at before tar gets it, and the archive must come to its
 * end mark. Throws an `Error` otherwise; the folder is half filled then.
 */
export async function unpackFolder(
  place: Pick<VolumePlace, 'docker'>,
  container: string,
  folder: string,
  content: AsyncIterable<Uint8Array>,
  signal: AbortSignal | undefined,
): Promise<void> {
  const guard = new ArchiveGuard({ strict: false });
  const digest = new TarDigest({
    onEntry: (entry) => {
      guard.check(entry);
    },
  });
  const refused: unknown[] = [];
  async function* checked(): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      for await (const chunk of content) {
        digest.push(chunk);
        yield chunk;
      }
      digest.finish();
    } catch (error) {
      refused.push(error);
      throw error;
    }
  }
  const tar = await place.docker.execStream(
    container,
    [
      'tar',
      '--extract',
      '--file=-',
      '--numeric-owner',
      '--same-owner',
      '--preserve-permissions',
      '--xattrs',
      '--acls',
      '--delay-directory-restore',
      `--directory=${folder}`,
    ],
    { stdin: checked(), ...(signal === undefined ? {} : { signal }) },
  );
  try {
    for await (const _chunk of tar.stdout);
    const { exitCode, stderr } = await tar.ended;
    if (exitCode !== 0) throw new Error(`tar ended with exit code ${String(exitCode)} (${lastLine(stderr)})`);
  } catch (error) {
    // What was wrong with the archive says more than that tar did not like its end.
    throw refused[0] ?? error;
  }
}
