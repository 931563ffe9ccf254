import { civilParts } from './civil-time.ts';

const idPattern = /^\d{8}_\d{6}(_\d{1,4})?$/;
const partialPattern = /^\.(\d{8}_\d{6}(?:_\d{1,4})?)\.(partial|fetch)$/;
const artifactPattern = /^[a-z0-9][a-z0-9_.-]*\.zst(\.gpg)?$/;

/** Whether a name is that of a set: `YYYYMMDD_HHMMSS`, and `_2` and so on where two began in one second. */
export function isSetId(name: string): boolean {
  return idPattern.test(name);
}

/** Which set a folder was to become: `.<id>.partial` of a backup, `.<id>.fetch` of a copy from off-site. */
export function unfinishedOf(name: string): { readonly id: string; readonly origin: 'partial' | 'fetch' } | undefined {
  const [, id = '', origin] = partialPattern.exec(name) ?? [];
  return origin === 'partial' || origin === 'fetch' ? { id, origin } : undefined;
}

/** Whether a name can be that of an artifact: it leads nowhere but into its folder, on every file system. */
export function isArtifactFile(name: string): boolean {
  return artifactPattern.test(name) && name.length <= 255 && !name.includes('..');
}

/** The id of a set that starts now: local civil time, so that a person finds it. */
export function setIdAt(moment: Date, timeZone: string): string {
  const { year, month, day, hour, minute, second } = civilParts(moment, timeZone);
  return `${year}${month}${day}_${hour}${minute}${second}`;
}

/** An id that is not taken. */
export function freeId(wanted: string, isTaken: (id: string) => boolean): string {
  if (!isTaken(wanted)) return wanted;
  for (let number = 2; ; number += 1) if (!isTaken(`${wanted}_${String(number)}`)) return `${wanted}_${String(number)}`;
}

/**
 * The file name of an artifact, `<service>.<part>.<extension>.zst.gpg`: letters, digits and `_-.` only, in lower case, so that it is one name on
 * every file system and needs no quoting. The true names are in the manifest.
 */
export function artifactFile(
  { service, part, extension, encrypted }: ArtifactNaming,
  isTaken: (file: string) => boolean,
): string {
  const end = `.${extensionOf(extension)}.zst${encrypted ? '.gpg' : ''}`;
  const start = `${slug(service, 40)}.${slug(part, 100)}`;
  for (let number = 1; ; number += 1) {
    const file = `${start}${number === 1 ? '' : `-${String(number)}`}${end}`;
    if (!isTaken(file)) return file;
  }
}

/** What names an artifact's file. */
export interface ArtifactNaming {
  readonly service: string;
  readonly part: string;
  readonly extension: string;
  readonly encrypted: boolean;
}

/** The same artifact's file under another passphrase: `x.dump.zst.gpg`, `x.dump.r2.zst.gpg`, `x.dump.r3.zst.gpg`. */
export function revisedFile(file: string, revision: number): string {
  return file.replace(/(\.r\d+)?(\.zst\.gpg)$/, `.r${String(revision)}$2`);
}

function slug(name: string, longest: number): string {
  const plain = name
    .normalize('NFKD')
    .replace(/\p{M}/gu, '')
    .toLowerCase()
    .replace(/[^a-z0-9_-]+/g, '-')
    .slice(0, longest)
    .replace(/^[-_]+|-+$/g, '');
  return plain === '' ? 'part' : plain;
}

function extensionOf(extension: string): string {
  const parts = extension.split('.').map((part) => slug(part, 20));
  return parts.join('.');
}
