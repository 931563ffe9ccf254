import { join } from 'node:path';
import { BackupCryptoErrorCode, verifyFile } from '@devstack-core/backup-crypto';
import { isDevstackError } from '@devstack-core/errors';
import { createHash } from 'node:crypto';
import { setFiles, layout, type StoreContext } from './context.ts';
import { BackupStoreErrorCode as codes } from './errors.ts';
import { measureFile, readSmall, refuseAborted } from './files.ts';
import { listSets } from './list.ts';
import type { ReadManifest } from './manifest-file.ts';
import { ownArtifacts, type ArtifactRecord, type FileMeasure } from './manifest.ts';
import { decryption, refuseMissing } from './open.ts';
import { locate, readSet, type LocatedArtifact } from './read.ts';
import type { Verdict } from './set-state.ts';

/** What is wrong with a set, told apart. */
export type ProblemKind =
  | 'corrupted'
  | 'wrong-passphrase'
  | 'newer-format'
  | 'incomplete'
  | 'swapped'
  | 'forged'
  | 'replayed'
  | 'not-found'
  | 'unproved'
  | 'unreadable';

/** One thing that is wrong. */
export interface VerifyProblem {
  readonly kind: ProblemKind;
  readonly code: string;
  readonly message: string;
  /** Which artifact, by its name in the manifest. */
  readonly artifact?: string;
}

/** What a verification found. */
export interface VerifyReport {
  readonly id: string;
  /** 1: manifest and checksums; 2: everything decrypted and decompressed, too. */
  readonly level: 1 | 2;
  /** `inconclusive` when what is there is whole as far as can be told, and something kept it from being told. */
  readonly verdict: Verdict;
  readonly problems: readonly VerifyProblem[];
  readonly checkedArtifacts: number;
  readonly checkedBytes: number;
  readonly durationMs: number;
}

/** How to verify. */
export interface VerifyOptions {
  readonly level?: 1 | 2;
  readonly signal?: AbortSignal;
  readonly onProgress?: (done: { readonly artifact: string; readonly bytes: number; readonly ofBytes: number }) => void;
}

/** Verifies a set: a broken one is a value, not an error. */
export async function verifySet(context: StoreContext, id: string, options: VerifyOptions): Promise<VerifyReport> {
  const { level = 2, signal } = options;
  const startedAt = performance.now();
  const tally = { artifacts: 0, bytes: 0 };
  const problems = await problemsOf(context, id, level, options, tally);
  refuseAborted(signal, `The verification of ${id}`);
  return {
    id,
    level,
    verdict: verdictOf(problems),
    problems,
    checkedArtifacts: tally.artifacts,
    checkedBytes: tally.bytes,
    durationMs: Math.round(performance.now() - startedAt),
  };
}

/** Whether a report tells anything of the set itself: not where it could not be read for a reason that is not its own. */
export function isTold({ verdict, problems }: VerifyReport): boolean {
  const ours: readonly ProblemKind[] = ['wrong-passphrase', 'newer-format', 'not-found'];
  return verdict !== 'inconclusive' && !problems.some(({ kind }) => ours.includes(kind));
}

async function problemsOf(
  context: StoreContext,
  id: string,
  level: 1 | 2,
  options: VerifyOptions,
  tally: { artifacts: number; bytes: number },
): Promise<VerifyProblem[]> {
  let set: ReadManifest;
  try {
    set = await readSet(context, id);
  } catch (error) {
    return [problemOf(error)];
  }
  const problems = [
    ...trustProblems(set, context),
    ...(await textProblems(context, set)),
    ...(await replayProblems(context, set)),
  ];
  const ofBytes = set.manifest.artifacts.reduce((sum, { cipher }) => sum + cipher.bytes, 0);
  for (const artifact of set.manifest.artifacts) {
    if (options.signal?.aborted === true) break;
    const problem = await artifactProblem(context, set, artifact, level, options.signal);
    if (problem !== undefined) problems.push(problem);
    tally.artifacts += 1;
    tally.bytes += artifact.cipher.bytes;
    options.onProgress?.({ artifact: artifact.name, bytes: tally.bytes, ofBytes });
  }
  return problems;
}

function trustProblems({ trust, manifest }: ReadManifest, { allowUnencrypted }: StoreContext): VerifyProblem[] {
  const { id } = manifest;
  if (trust === 'unchecked')
    return [
      {
        kind: 'unproved',
        code: codes.passphraseNeeded,
        message: `Without the passphrase it cannot be told who wrote ${id}.`,
      },
    ];
  if (trust === 'plain' && !allowUnencrypted)
    return [
      { kind: 'unproved', code: codes.unencrypted, message: `${id} is not encrypted, so anybody can have written it.` },
    ];
  return [];
}

// The recovery card is what a person follows in need: an edited one is as bad as an edited backup.
async function textProblems({ directory }: StoreContext, { manifest }: ReadManifest): Promise<VerifyProblem[]> {
  const problems: VerifyProblem[] = [];
  for (const [file, sha256] of Object.entries(manifest.texts)) {
    if (file !== setFiles.sums && file !== setFiles.card) continue;
    const text = await readSmall(join(layout.set(directory, manifest.id), file));
    if (text === undefined)
      problems.push({ kind: 'incomplete', code: codes.incomplete, message: `${file} of ${manifest.id} is missing.` });
    else if (createHash('sha256').update(text).digest('hex') !== sha256)
      problems.push({
        kind: 'corrupted',
        code: BackupCryptoErrorCode.damaged,
        message: `${file} of ${manifest.id} is not the one that was written: do not follow it.`,
      });
  }
  return problems;
}

// Each set names the one made before it by its checksum: what is in this one's place now was put there after the next one was made.
async function replayProblems(
  context: StoreContext,
  { manifest, trust, sha256 }: ReadManifest,
): Promise<VerifyProblem[]> {
  if (trust !== 'authentic') return [];
  const later = (await listSets(context)).find((set) => set.manifest?.previous?.id === manifest.id);
  // A change of the passphrase that was cut short has written this one anew, and not yet the next.
  if (later?.manifest === undefined || later.trust !== 'authentic' || manifest.revision > later.manifest.revision)
    return [];
  if (later.manifest.previous?.sha256 === sha256) return [];
  const message = `${manifest.id} is not the set that was there when ${later.id} was made.`;
  return [{ kind: 'replayed', code: codes.replayed, message }];
}

/** What is wrong with one artifact of a set, wherever it is held; undefined where nothing is. */
export async function artifactProblem(
  context: StoreContext,
  set: ReadManifest,
  artifact: ArtifactRecord,
  level: 1 | 2,
  signal: AbortSignal | undefined,
): Promise<VerifyProblem | undefined> {
  try {
    const located = await locate(context, set, artifact);
    await refuseMissing(located);
    const measured = await measureFile(located.path, signal);
    const problem = await difference(context, located, measured);
    if (problem !== undefined) return problem;
    const isOpenable = located.holder.trust !== 'unchecked';
    if (level === 2 && isOpenable) await verifyFile(located.path, decryption(located, signal));
    return undefined;
  } catch (error) {
    return { ...problemOf(error), artifact: artifact.name };
  }
}

async function difference(
  context: StoreContext,
  { record, holder }: LocatedArtifact,
  measured: FileMeasure,
): Promise<VerifyProblem | undefined> {
  const { file, name, cipher } = record;
  if (measured.sha256 === cipher.sha256 && measured.bytes === cipher.bytes) return undefined;
  const origin = await originOf(context, measured);
  if (origin !== undefined)
    return {
      kind: 'swapped',
      code: codes.swapped,
      artifact: name,
      message: `${file} of ${holder.manifest.id} is ${origin}.`,
    };
  const by = measured.bytes - cipher.bytes;
  const what =
    by === 0 ? 'is changed' : by < 0 ? `is ${String(-by)} bytes too short` : `is ${String(by)} bytes too long`;
  const code =
    by === 0
      ? BackupCryptoErrorCode.damaged
      : by < 0
        ? BackupCryptoErrorCode.truncated
        : BackupCryptoErrorCode.trailingData;
  return { kind: 'corrupted', code, artifact: name, message: `${file} of ${holder.manifest.id} ${what}.` };
}

// Whether it is the whole file of another artifact.
async function originOf(context: StoreContext, { sha256, bytes }: FileMeasure): Promise<string | undefined> {
  for (const { manifest } of await listSets(context)) {
    const found =
      manifest === undefined
        ? undefined
        : ownArtifacts(manifest).find((one) => one.cipher.sha256 === sha256 && one.cipher.bytes === bytes);
    if (found !== undefined && manifest !== undefined) return `${found.file} of ${manifest.id}`;
  }
  return undefined;
}

function problemOf(error: unknown): VerifyProblem {
  if (!isDevstackError(error))
    return { kind: 'unreadable', code: 'FAILED', message: error instanceof Error ? error.message : String(error) };
  return { kind: kinds[error.code] ?? 'unreadable', code: error.code, message: error.message };
}

const kinds: Readonly<Record<string, ProblemKind>> = {
  [codes.notFound]: 'not-found',
  [codes.incomplete]: 'incomplete',
  [codes.manifestDamaged]: 'corrupted',
  [codes.manifestForged]: 'forged',
  [codes.formatNewer]: 'newer-format',
  [codes.replayed]: 'replayed',
  [codes.swapped]: 'swapped',
  [codes.wrongPassphrase]: 'wrong-passphrase',
  [codes.passphraseNeeded]: 'unproved',
  [codes.unencrypted]: 'unproved',
  [BackupCryptoErrorCode.damaged]: 'corrupted',
  [BackupCryptoErrorCode.truncated]: 'corrupted',
  [BackupCryptoErrorCode.trailingData]: 'corrupted',
  [BackupCryptoErrorCode.notOpenPgp]: 'corrupted',
};

// What only kept it from being told is no proof of damage.
function verdictOf(problems: readonly VerifyProblem[]): Verdict {
  if (problems.length === 0) return 'valid';
  return problems.every(({ kind }) => kind === 'unproved' || kind === 'unreadable') ? 'inconclusive' : 'invalid';
}
