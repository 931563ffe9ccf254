import { createHash, type Hash } from 'node:crypto';
import type { Fingerprint, FingerprintItem } from '../types.ts';
import { TarScanner, type TarEntry, type TarEvent } from './tar-scanner.ts';

export interface TarDigestOptions {
  /** Whether owners count; they do unless told otherwise. */
  readonly owners?: boolean;
  /** Called with each member as soon as its header was read, before its content: throw to refuse it. */
  readonly onEntry?: (entry: TarEntry) => void;
}

/** Fingerprints an archive while it flows by: one item for each member, with mode, owner, size, content, link target and attributes. */
export class TarDigest {
  readonly #scanner = new TarScanner();
  readonly #options: TarDigestOptions;
  readonly #items: FingerprintItem[] = [];
  #current: { readonly entry: TarEntry; readonly hash: Hash } | undefined;
  #bytes = 0;

  constructor(options: TarDigestOptions = {}) {
    this.#options = options;
  }

  push(chunk: Uint8Array): void {
    for (const event of this.#scanner.push(chunk)) this.#take(event);
  }

  /** Throws where the archive is not whole. */
  finish(): Fingerprint {
    this.#scanner.finish();
    return { schema: 'devstack/fingerprint/1', items: this.#items };
  }

  /** Members and the sum of their sizes so far. */
  get totals(): { readonly entries: number; readonly bytes: number } {
    return { entries: this.#items.length, bytes: this.#bytes };
  }

  #take(event: TarEvent): void {
    if (event.kind === 'entry') {
      this.#options.onEntry?.(event.entry);
      this.#current = { entry: event.entry, hash: createHash('sha256') };
      return;
    }
    const { entry, hash } = this.#current ?? {};
    if (entry === undefined || hash === undefined) return;
    if (event.kind === 'data') hash.update(event.bytes);
    else if (event.kind === 'hole') updateZeros(hash, event.bytes);
    else {
      this.#bytes += entry.size;
      this.#items.push(itemOf(entry, hash.digest('hex'), this.#options.owners ?? true));
    }
  }
}

/** The item of one file, folder or link. */
export function itemOf(
  entry: Pick<TarEntry, 'path' | 'type' | 'mode' | 'uid' | 'gid' | 'size' | 'link' | 'attributes'>,
  contentSha256: string,
  owners: boolean,
): FingerprintItem {
  const parts = [
    entry.type,
    entry.mode.toString(8),
    owners ? `${String(entry.uid)}:${String(entry.gid)}` : '',
    entry.link,
    contentSha256,
    ...[...entry.attributes]
      .map(([name, value]) => `${name}=${Buffer.from(value).toString('hex')}`)
      .toSorted((a, b) => (a < b ? -1 : 1)),
  ];
  return {
    kind: entry.type === 'hardlink' ? 'link' : entry.type === 'symlink' ? 'link' : entry.type,
    name: entry.path,
    count: entry.size,
    checksum: createHash('sha256').update(parts.join('\0')).digest('hex'),
  };
}

const zeros = Buffer.alloc(64 * 1024);

function updateZeros(hash: Hash, bytes: number): void {
  for (let left = bytes; left > 0; left -= zeros.length) hash.update(zeros.subarray(0, Math.min(left, zeros.length)));
}
