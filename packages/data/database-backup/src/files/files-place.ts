/** A file or folder of this machine that belongs into a backup. */
export interface FilesRoot {
  /** Unique, one segment, e.g. `configuration`: names the part, and the topmost folder in its archive. */
  readonly name: string;
  /** Absolute. A symbolic link here is followed, so that it may lie elsewhere. */
  readonly path: string;
  /** Paths below it, with `/`, that are left out with all that is in them. */
  readonly exclude?: readonly string[];
}

/** Folders of this machine. */
export interface FilesPlace {
  readonly roots: readonly FilesRoot[];
  /** Gone with the place: it lies in memory where the machine offers that. */
  readonly isThrowaway?: boolean;
}
