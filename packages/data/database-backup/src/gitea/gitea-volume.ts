import { randomBytes } from 'node:crypto';
import type { EphemeralContainer } from '@devstack-core/docker-engine';
import { lastLine } from '../engine-failure.ts';
import { pausesLabel, startThrowaway } from '../throwaway.ts';
import { mountPoint, unpackFolder } from '../volume/volume-tar.ts';
import type { GiteaPlace } from './gitea-place.ts';

/** Folders of ours in the volume; in no dump. */
const ownPrefix = '.devstack-';
const replaced = `${ownPrefix}replaced`;

/** What a dump leaves out: logs, what is made anew by itself, and pushes that were under way. Patterns of GNU tar, from the volume's root. */
export const leftOut: readonly string[] = [
  './.devstack-*',
  './log',
  './lost+found',
  './data/indexers',
  './data/repo-archive',
  './data/tmp',
  './tmp',
  './repositories/*.lock',
  './repositories/*/tmp_objdir-incoming-*',
  './repositories/*/objects/tmp_objdir-incoming-*',
  './repositories/*/objects/incoming-*',
  './repositories/*/objects/pack/tmp_*',
  './repositories/*/objects/??/tmp_obj_*',
];

/** Where files are written once and never changed: these are linked, all others are copied. */
const immutable = [
  './repositories',
  './data/lfs',
  './data/attachments',
  './data/packages',
  './data/avatars',
  './data/repo-avatars',
  './data/actions_artifacts',
];

/** A container of the server's image that has its volume, and is to be removed. While it is there, a paused server is known to be ours. */
export async function openGiteaVolume(
  place: GiteaPlace,
  options: { readonly pauses?: string | undefined; readonly signal?: AbortSignal | undefined } = {},
): Promise<EphemeralContainer> {
  const { pauses, signal } = options;
  return startThrowaway({
    docker: place.docker,
    image: place.image,
    labels: { ...place.labels, ...(pauses === undefined ? {} : { [pausesLabel]: pauses }) },
    what: 'container for the files of Gitea',
    argv: ['sleep', 'infinity'],
    user: '0:0',
    env: { HOME: '/tmp', GIT_CONFIG_NOSYSTEM: '1' },
    binds: [`${place.volume}:${mountPoint}:nocopy`],
    tmpfs: { '/tmp': 'mode=1777,size=256m' },
    capAdd: ['DAC_OVERRIDE', 'CHOWN', 'FOWNER', 'FSETID'],
    ...(signal === undefined ? {} : { signal }),
  });
}

/** Runs a shell script in a helper container; throws an `Error` unless it ends with 0. */
export async function runScript(
  { docker }: Pick<GiteaPlace, 'docker'>,
  container: string,
  script: string,
  ...parameters: readonly string[]
): Promise<string> {
  const { exitCode, stdout, stderr } = await docker.exec(container, ['sh', '-euc', script, 'sh', ...parameters]);
  if (exitCode !== 0) throw new Error(`the script ended with exit code ${String(exitCode)} (${lastLine(stderr)})`);
  return stdout;
}

/** Everything of the volume at one moment, in a folder of it: as links where files never change, so it is made in a moment and takes no room. */
export async function linkVolume(place: GiteaPlace, container: string): Promise<string> {
  const folder = `${mountPoint}/${ownPrefix}backup-${randomBytes(6).toString('hex')}`;
  const prune = immutable.map((path) => `-path ${path} -o`).join(' ');
  await runScript(
    place,
    container,
    `cd ${mountPoint}
mkdir -m 700 "$1"
for name in * .[!.]* ..?*; do
  case $name in ${ownPrefix}*|lost+found) continue;; esac
  if [ -e "$name" ] || [ -L "$name" ]; then cp -al -- "$name" "$1/"; fi
done
find . -mindepth 1 \\( ${prune} -path './${ownPrefix}*' -o -path ./lost+found \\) -prune -o -type f -print0 |
  xargs -0 -r cp --parents -p --remove-destination -t "$1" --
if [ -d repositories ]; then
  find ./repositories -type f -path '*/logs/*' -print0 | xargs -0 -r cp --parents -p --remove-destination -t "$1" --
fi`,
    folder,
  );
  return folder;
}

/** Removes what dumps and restores that were killed have left. */
export async function sweepVolume(place: GiteaPlace, container: string): Promise<void> {
  await runScript(place, container, `rm -rf ${mountPoint}/${ownPrefix}backup-* ${mountPoint}/${ownPrefix}restore-*`);
}

/**
 * Unpacks an archive beside what is in the volume, and exchanges the two by renaming when all of it was there. What was there before is
 * kept in a folder of its own until the next restore. Throws an `Error`.
 */
export async function replaceVolume(
  place: GiteaPlace,
  container: string,
  content: AsyncIterable<Uint8Array>,
  options: { readonly replace: boolean; readonly signal: AbortSignal | undefined },
): Promise<void> {
  await sweepVolume(place, container);
  const list = `cd ${mountPoint} && ls -A | grep -v -e '^${ownPrefix.replace('.', '\\.')}' -e '^lost+found$' || true`;
  const found = (await runScript(place, container, list)).trim();
  if (found !== '' && !options.replace)
    throw new Error(`the volume ${place.volume} is not empty, and replacing what is there was not allowed`);
  const folder = `${mountPoint}/${ownPrefix}restore-${randomBytes(6).toString('hex')}`;
  await runScript(place, container, 'mkdir -m 700 "$1"', folder);
  try {
    await unpackFolder(place, container, folder, content, options.signal);
  } catch (error) {
    await runScript(place, container, 'rm -rf "$1"', folder);
    throw error;
  }
  await runScript(
    place,
    container,
    `cd ${mountPoint}
sync -f .
rm -rf ${replaced}
mkdir -m 700 ${replaced}
ls -A | while IFS= read -r name; do
  case $name in ${ownPrefix}*|lost+found) continue;; esac
  mv -- "$name" ${replaced}/
done
ls -A "$1" | while IFS= read -r name; do mv -- "$1/$name" .; done
chown --reference="$1" . && chmod --reference="$1" .
rmdir "$1"
rmdir ${replaced} 2>/dev/null || true
sync -f .`,
    folder,
  );
}
