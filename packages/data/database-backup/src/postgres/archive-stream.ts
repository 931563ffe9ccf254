import type { DevstackError } from '@devstack-core/errors';
import { ArchiveReader, type ArchiveHead } from './archive-reader.ts';
import { refusal } from './failure.ts';

/** An archive whose table of contents is known and whose bytes are still to be read, all of them, once. */
export interface OpenArchive extends AsyncDisposable {
  readonly head: ArchiveHead;
  /** From its start. Throws at the end at the latest when the archive is not whole. */
  bytes(): AsyncGenerator<Uint8Array, void, undefined>;
}

/** Reads as far as the table of contents. `atEnd` is asked when there is no more, before the archive is judged. */
export async function openArchive(
  content: AsyncIterable<Uint8Array>,
  refuse: (problem: string) => DevstackError,
  atEnd: () => Promise<void> = () => Promise.resolve(),
): Promise<OpenArchive> {
  const source = content[Symbol.asyncIterator]();
  const reader = new ArchiveReader();
  const first: Uint8Array[] = [];
  let hasEnded = false;
  const read = async (): Promise<Uint8Array | undefined> => {
    const next = await source.next();
    hasEnded = next.done === true;
    if (next.done === true) await atEnd();
    const problem = next.done === true ? reader.end() : reader.push(next.value);
    if (problem !== undefined) throw refuse(problem);
    return next.done === true ? undefined : next.value;
  };
  const dispose = async (): Promise<void> => {
    await source.return?.();
  };
  try {
    while (reader.head === undefined) {
      const chunk = await read();
      if (chunk !== undefined) first.push(chunk);
    }
  } catch (error) {
    await dispose().catch(() => undefined);
    throw error;
  }
  return {
    head: reader.head,
    bytes: async function* () {
      yield* first.splice(0);
      while (!hasEnded) {
        const chunk = await read();
        if (chunk !== undefined) yield chunk;
      }
    },
    [Symbol.asyncDispose]: dispose,
  };
}

/** Reads an archive to its end without restoring it. Throws RESTORE_FAILED when it is not whole. */
export async function readPostgresArchive(content: AsyncIterable<Uint8Array>): Promise<ArchiveHead> {
  await using archive = await openArchive(content, (problem) =>
    refusal('restore', `The dump is not whole: ${problem}.`),
  );
  const bytes = archive.bytes();
  while ((await bytes.next()).done !== true);
  return archive.head;
}
