import type { BackupPart, EngineAdapter, Fingerprint, SourceOptions, StoredPart } from '../src/types.ts';

/** A part as a set would have it. */
export interface DumpedPart {
  readonly stored: StoredPart;
  readonly bytes: Buffer;
  readonly fingerprint: Fingerprint;
}

/** Everything that a place has, in memory. */
export async function dumpAll<P>(
  adapter: EngineAdapter<P>,
  place: P,
  options: SourceOptions = {},
): Promise<readonly DumpedPart[]> {
  const parts: DumpedPart[] = [];
  for await (const part of adapter.open(place, options)) {
    const fingerprint = await part.fingerprint();
    parts.push({ stored: storedPart(part), fingerprint, bytes: await collect(part.content()) });
  }
  return parts;
}

/** What a manifest would keep of a part: nothing but data. */
export function storedPart(part: BackupPart): StoredPart {
  return { ...(JSON.parse(JSON.stringify(part)) as BackupPart), service: 'test' };
}

export async function collect(content: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of content) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** Bytes in pieces, as a file would give them. */
export async function* chunked(bytes: Uint8Array, size = 64 * 1024): AsyncGenerator<Uint8Array, void, undefined> {
  await Promise.resolve();
  for (let from = 0; from < bytes.length; from += size) yield bytes.subarray(from, from + size);
}

/** The first of a list that has one. */
export function first<T>(list: readonly T[]): T {
  const [item] = list;
  if (item === undefined) throw new Error('there is none');
  return item;
}
