import { createHash } from 'node:crypto';
import { TarDigest } from '../files/tar-digest.ts';
import type { Fingerprint, FingerprintItem } from '../types.ts';
import { packFolder } from '../volume/volume-tar.ts';
import type { GiteaPlace } from './gitea-place.ts';
import { leftOut, runScript } from './gitea-volume.ts';

/** What the server changes by itself while it runs, so that it is dumped and not compared. */
const restless = ['./queues', './data/queues', './data/sessions', './home/.gitconfig', './data/home/.gitconfig'];

// One line for each repository. Objects by the ids of all that refs reach; that each is what its id says is fsck's to tell.
const repositories = `cd "$1"
[ -d repositories ] || exit 0
find repositories -type d -name '*.git' -prune -print0 | sort -z | xargs -0 -r -n 1 sh -euc '
  run() { git -c safe.directory="*" --git-dir="$repository" "$@"; }
  repository=$1
  refs=$(run for-each-ref --format="%(objectname) %(refname)" | sha256sum | cut -c1-64)
  head=$(cat "$repository/HEAD")
  count=$(run for-each-ref --format=x | wc -l)
  run rev-list --objects --no-object-names --all > /tmp/objects || echo broken >> /tmp/objects
  objects=$(sort -u /tmp/objects | sha256sum | cut -c1-64)
  total=$(sort -u /tmp/objects | wc -l)
  if run fsck --full --no-dangling --no-progress > /tmp/fsck 2>&1; then state=whole; else state=damaged; fi
  rm -f /tmp/objects /tmp/fsck
  printf "%s\\t%s\\t%s\\t%s\\t%s\\t%s\\t%s\\0" "$count" "$refs" "$total" "$objects" "$state" "$head" "$repository"
' sh`;

/**
 * Refs, objects and soundness of each repository, and each other file: large files (LFS), attachments, packages, avatars, keys. Compares the
 * content of repositories, not their packs, so that a repository may be packed anew meanwhile.
 */
export async function fingerprintFiles(
  place: GiteaPlace,
  container: string,
  folder: string,
  signal: AbortSignal | undefined,
): Promise<Fingerprint> {
  const items: FingerprintItem[] = [];
  const output = await runScript(place, container, repositories, folder);
  for (const record of output.split('\0').filter((line) => line !== '')) {
    const [refs, refsSum = '', objects, objectsSum = '', state = '', head = '', ...path] = record.split('\t');
    const name = path.join('\t').replace(/^repositories\//, '');
    const sum = (...parts: readonly string[]): string => createHash('sha256').update(parts.join('\n')).digest('hex');
    items.push({ kind: 'refs', name, count: Number(refs), checksum: sum(refsSum, head.trim()) });
    items.push({ kind: 'objects', name, count: Number(objects), checksum: sum(objectsSum, state) });
  }
  const digest = new TarDigest();
  const exclude = [...leftOut, ...restless, './repositories'];
  for await (const chunk of packFolder(place, container, folder, { exclude, signal })) digest.push(chunk);
  const files = digest.finish().items.filter((item) => item.kind !== 'directory');
  return { schema: 'devstack/fingerprint/1', items: [...items, ...files] };
}

/** `git fsck` of every repository, and every large file against the checksum that is its name. Each problem is one sentence. */
export async function fileProblems(place: GiteaPlace, container: string, folder: string): Promise<readonly string[]> {
  const fsck = await runScript(
    place,
    container,
    `cd "$1"
[ -d repositories ] || exit 0
find repositories -type d -name '*.git' -prune -print0 | xargs -0 -r -n 1 sh -uc '
  if ! git -c safe.directory="*" --git-dir="$1" fsck --full --no-dangling --no-progress > /tmp/fsck 2>&1; then
    printf "git fsck of %s: %s.\\n" "$1" "$(tail -n 1 /tmp/fsck)"
  fi' sh`,
    folder,
  );
  const lfs = await runScript(
    place,
    container,
    `cd "$1"
for store in data/lfs lfs; do
  [ -d "$store" ] || continue
  find "$store" -type f -print0 | xargs -0 -r -n 1 sh -uc '
    name=$(printf "%s" "\${1#"$0"/}" | tr -d /)
    [ "$(sha256sum < "$1" | cut -c1-64)" = "$name" ] || printf "The large file %s is not what its name says.\\n" "$1"' "$store"
done`,
    folder,
  );
  return `${fsck}${lfs}`.split('\n').filter((line) => line !== '');
}
