import { posix } from 'node:path';
import type { TarEntry } from './tar-scanner.ts';

export interface GuardOptions {
  /** For files of this machine: no hard links, devices or pipes, no link that leads out, names that every file system keeps apart. */
  readonly strict: boolean;
}

/**
 * Refuses members that would be written outside of the folder that they belong to, or over each other. To be asked with every member of an
 * archive in its order, before any of its bytes is used; throws an `Error` that names the member.
 */
export class ArchiveGuard {
  readonly #strict: boolean;
  readonly #seen = new Map<string, TarEntry['type']>();
  readonly #folded = new Map<string, string>();

  constructor({ strict }: GuardOptions) {
    this.#strict = strict;
  }

  check(entry: Pick<TarEntry, 'path' | 'type' | 'link'>): void {
    const path = bytesName(entry.path);
    const refuse = (why: string): never => {
      throw new Error(`the member ${JSON.stringify(entry.path)} ${why}`);
    };
    if (!isInside(path)) refuse('lies outside of its folder');
    if (this.#strict && entry.path.startsWith('hex:')) refuse('has a name that is not UTF-8');
    if (this.#strict && (/^[A-Za-z]:/.test(path) || !path.split('/').every(isPortable)))
      refuse('has a name that not every file system can hold');
    if (entry.type === 'device') refuse('is a device');
    if (this.#strict && (entry.type === 'fifo' || entry.type === 'hardlink')) refuse(`is a ${entry.type}`);
    if (this.#seen.has(path)) refuse('is there twice');
    for (const parent of parentsOf(path)) {
      const type = this.#seen.get(parent);
      if (type !== undefined && type !== 'directory')
        refuse(`lies under ${JSON.stringify(parent)}, which is no folder`);
    }
    if (entry.type === 'hardlink') {
      const target = posix.normalize(bytesName(entry.link));
      if (!isInside(target) || this.#seen.get(target) !== 'file') refuse('is a hard link to nothing in the archive');
    }
    if (entry.type === 'symlink' && this.#strict && !staysInside(path, bytesName(entry.link)))
      refuse('is a link that leads out');
    if (this.#strict) this.#checkFolded(path, refuse);
    this.#seen.set(path, entry.type);
  }

  // macOS and Windows take names for the same that differ in case or composition alone.
  #checkFolded(path: string, refuse: (why: string) => never): void {
    const folded = path.normalize('NFC').toLowerCase();
    const other = this.#folded.get(folded);
    if (other !== undefined) refuse(`differs from ${JSON.stringify(other)} in case or composition alone`);
    this.#folded.set(folded, path);
  }
}

// Where the archive holds bytes that are no text, each byte counts as a character here.
function bytesName(name: string): string {
  return name.startsWith('hex:') ? Buffer.from(name.slice(4), 'hex').toString('latin1') : name;
}

function isInside(path: string): boolean {
  return path !== '' && !path.startsWith('/') && !path.includes('\0') && !path.split('/').includes('..');
}

function isPortable(segment: string): boolean {
  const bytes = Buffer.byteLength(segment);
  return bytes > 0 && bytes <= 255 && !segment.includes('\\');
}

// A link's target counts from the folder that it lies in; the first segment of the path is the root that all share.
function staysInside(path: string, target: string): boolean {
  if (target === '' || target.startsWith('/') || target.includes('\0') || target.includes('\\')) return false;
  // `a/../..` would count from where the link `a` leads, which may be less deep than it looks.
  if (/(^|\/)(?!\.\.(\/|$))[^/]+\/(.*\/)?\.\.(\/|$)/.test(target)) return false;
  const resolved = posix.normalize(posix.join(posix.dirname(path), target));
  const [root] = path.split('/');
  return resolved === root || resolved.startsWith(`${root ?? ''}/`);
}

function parentsOf(path: string): string[] {
  const parts = path.split('/').slice(0, -1);
  return parts.map((_, index) => parts.slice(0, index + 1).join('/'));
}
