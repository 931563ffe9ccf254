import type { DockerEngine } from '@devstack-core/docker-engine';
import type { EngineIdentity } from '@devstack-core/database-backup';
import type { ImageUsed } from './report.ts';

/** Images to use in place of others, by the name in the backup. */
export type ImageReplacements = Readonly<Record<string, string>>;

/** What to restore in; undefined where no image of that name is here. */
export async function imageFor(
  docker: DockerEngine,
  { image }: EngineIdentity,
  replacements: ImageReplacements,
): Promise<ImageUsed | undefined> {
  // Files of this machine were in no image.
  if (image.id === '' && image.name === '') return { name: '', id: '', isSame: true };
  const replacement = replacements[image.name];
  if (replacement === undefined) {
    const same = image.id === '' ? undefined : await docker.inspectImage(image.id);
    if (same !== undefined) return { name: image.name, id: same.id, isSame: true };
  }
  const name = replacement ?? image.name;
  const other = await docker.inspectImage(name);
  return other === undefined ? undefined : { name, id: other.id, isSame: other.id === image.id };
}
