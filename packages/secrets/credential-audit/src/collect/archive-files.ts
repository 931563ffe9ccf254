import type { ContainerDetails } from '@devstack-core/docker-engine';
import type { MountedTree } from './readable-files.ts';
import { cannotCheck, throwIfAborted, type CollectContext } from './context.ts';

/** The same search for an engine whose files are not on this machine: through the archive that it makes of the mount. */
export async function searchArchivedFiles(
  context: CollectContext,
  container: ContainerDetails,
  tree: MountedTree,
): Promise<void> {
  const { engine, ledger, limits } = context;
  const { surface, subject, location } = tree;
  const closed: string[] = [];
  const cuts: string[] = [];
  let [entries, bytes] = [0, 0];
  for await (const entry of engine.readArchive(container.id, tree.path)) {
    throwIfAborted(context.signal);
    const name = entry.path.replace(/^\.?\/|\/$/g, '');
    entries += 1;
    bytes += entry.sizeBytes;
    if (entries > limits.entries || bytes > limits.volumeBytes) {
      cuts.push(`cut after ${String(entries)} files and folders, ${String(bytes)} bytes`);
      break;
    }
    if (closed.some((folder) => name.startsWith(`${folder}/`))) continue;
    if (entry.kind === 'directory' && (entry.mode & 0o001) === 0) closed.push(name);
    tree.onEntry?.({
      path: tree.path,
      name,
      isFolder: entry.kind === 'directory',
      mode: entry.mode,
      sizeBytes: entry.sizeBytes,
      isReadableByOthers: (entry.mode & 0o004) !== 0,
    });
    const place = { surface, subject, at: name, location };
    ledger.text({ ...place, at: `name of ${name}` }, name);
    if (entry.kind !== 'file' || (entry.mode & 0o004) === 0) continue;
    const stream = ledger.stream(place);
    let left = limits.fileBytes;
    for await (const chunk of entry.content) {
      const piece = chunk as Buffer;
      if (left > 0) stream.write(piece.subarray(0, left));
      left -= piece.length;
    }
    stream.end();
    if (left < 0) cuts.push(`${name} cut after ${String(limits.fileBytes)} of ${String(entry.sizeBytes)} bytes`);
  }
  if (cuts.length === 0) ledger.checked(surface, subject);
  else cannotCheck(context, surface, subject, cuts.slice(0, 5).join('; '));
}
