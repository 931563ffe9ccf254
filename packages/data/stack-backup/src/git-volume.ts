import { startThrowaway, type StoredPart } from '@devstack-core/database-backup';
import type { DockerEngine } from '@devstack-core/docker-engine';
import { DevstackError } from '@devstack-core/errors';

/** What a volume of Gitea or Forgejo holds. */
export interface GitVolume {
  /** `owner/name.git`, wikis (`owner/name.wiki.git`) among them. */
  readonly repositories: ReadonlySet<string>;
  /** The ids (SHA-256) of large files, by their names. */
  readonly largeFiles: ReadonlySet<string>;
  /** Each one sentence: what `git fsck` says of a repository, and every large file that is not what its name says. */
  readonly problems: readonly string[];
}

/** The image of the server, whose git checks its repositories: the part's metadata name it. */
export function gitImageOf({ metadata }: Pick<StoredPart, 'metadata'>): string {
  const image = metadata?.['applicationImage'];
  return typeof image === 'string' ? image : 'devstack/forgejo:local';
}

// One line for each thing found, its kind first. Names may hold anything but a line's end: that is no name for a repository.
const script = `cd /volume && git --version > /dev/null || exit 1
if [ -d repositories ]; then
  (cd repositories && find . -type d -name '*.git' -prune) | sed 's|^[.]/||' | while IFS= read -r name; do
    printf 'repository %s\\n' "$name"
    if ! git -c safe.directory='*' --git-dir="repositories/$name" fsck --full --no-dangling --no-progress > /tmp/fsck 2>&1; then
      printf 'problem The repository %s fails git fsck: %s.\\n' "$name" "$(tail -n 1 /tmp/fsck)"
    fi
  done
fi
for store in data/lfs lfs; do
  [ -d "$store" ] || continue
  (cd "$store" && find . -type f -not -path './tmp/*') | sed 's|^[.]/||' | while IFS= read -r path; do
    name=$(printf %s "$path" | tr -d /)
    printf 'large %s\\n' "$name"
    if [ "$(sha256sum < "$store/$path" | cut -c1-64)" != "$name" ]; then
      printf 'problem The large file %s is not what its name says.\\n' "$name"
    fi
  done
done
echo end`;

/**
 * Reads every repository (`git fsck --full`) and every large file of a volume in a container of the server's image that has no network and
 * cannot write to it. Throws PLACE_UNUSABLE where it could not: that says nothing of the volume.
 */
export async function inspectGitVolume(options: {
  readonly docker: DockerEngine;
  readonly volume: string;
  readonly image: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
}): Promise<GitVolume> {
  const { docker, volume, image, labels, signal } = options;
  const withSignal = signal === undefined ? {} : { signal };
  await using container = await startThrowaway({
    docker,
    image,
    labels,
    what: 'container for git',
    argv: ['sleep', 'infinity'],
    user: '0:0',
    env: { HOME: '/tmp', GIT_CONFIG_NOSYSTEM: '1' },
    binds: [`${volume}:/volume:ro,nocopy`],
    tmpfs: { '/tmp': 'mode=1777,size=64m' },
    capAdd: ['DAC_OVERRIDE'],
    ...withSignal,
  });
  const { exitCode, stdout, stderr } = await docker.exec(container.id, ['sh', '-uc', script], withSignal);
  const lines = stdout.split('\n');
  if (exitCode !== 0 || !lines.includes('end'))
    throw new DevstackError({
      code: 'PLACE_UNUSABLE',
      message: `The repositories in ${volume} could not be read by the image ${image}: ${stderr.trim().slice(-500)}`,
      hint: 'Look whether the image has git: docker run --rm --entrypoint git IMAGE --version',
    });
  const all = (kind: string): readonly string[] =>
    lines.filter((line) => line.startsWith(`${kind} `)).map((line) => line.slice(kind.length + 1));
  return {
    repositories: new Set(all('repository')),
    largeFiles: new Set(all('large')),
    problems: all('problem'),
  };
}
