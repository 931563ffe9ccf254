import { holdSnapshot } from '../postgres/snapshot.ts';
import type { GiteaPlace } from './gitea-place.ts';
import { runScript } from './gitea-volume.ts';

/** Whether the database and the files know the same repositories and large files. Each problem is one sentence. */
export async function consistencyProblems(
  place: GiteaPlace,
  container: string,
  folder: string,
  signal: AbortSignal | undefined,
): Promise<readonly string[]> {
  await using snapshot = await holdSnapshot(place.postgres, place.database, signal === undefined ? {} : { signal });
  const column = async (sql: string): Promise<string[]> =>
    (await snapshot.query(sql)).map((row) => String(row['name']));
  const [repositories, wikis, files] = [
    await column(
      `SELECT lower(owner_name || '/' || name) || '.git' AS name FROM public.repository WHERE NOT is_empty OR status = 0`,
    ),
    await column(`SELECT lower(owner_name || '/' || name) || '.wiki.git' AS name FROM public.repository`),
    await column(`SELECT DISTINCT oid AS name FROM public.lfs_meta_object`),
  ];
  const list = async (script: string): Promise<Set<string>> =>
    new Set((await runScript(place, container, script, folder)).split('\n').filter((line) => line !== ''));
  const folders = await list(
    `cd "$1"; [ ! -d repositories ] || { cd repositories; find . -type d -name '*.git' -prune | sed 's|^[.]/||'; }`,
  );
  const stored = await list(
    `cd "$1"; for store in data/lfs lfs; do [ ! -d "$store" ] || find "$store" -type f | sed "s|^$store/||" | tr -d /; done`,
  );
  const known = new Set([...repositories, ...wikis]);
  return [
    ...repositories
      .filter((name) => !folders.has(name))
      .map((name) => `The repository ${name} is in the database only.`),
    ...[...folders].filter((name) => !known.has(name)).map((name) => `The repository ${name} is on the disk only.`),
    ...files.filter((name) => !stored.has(name)).map((name) => `The large file ${name} is in the database only.`),
  ];
}
