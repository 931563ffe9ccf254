import type { BackupStore, SetManifest, VerifyProblem } from '@devstack-core/backup-store';
import { sweepThrowaways, type Rehearser } from '@devstack-core/database-backup';
import type { DockerEngine } from '@devstack-core/docker-engine';
import { abortReason, DevstackError, isDevstackError } from '@devstack-core/errors';
import { BackupVerificationErrorCode } from './errors.ts';
import type { ImageReplacements } from './image.ts';
import { parsePart } from './parse-part.ts';
import { defaultParsers, type Parsers } from './parsers/default-parsers.ts';
import { draftOf, finished, type PartDraft } from './part-draft.ts';
import { recordReport } from './record.ts';
import { verdictOf, worst, type Finding, type PartReport, type VerificationReport } from './report.ts';
import { tryRestore, type TrialResult } from './trial.ts';

/** What happens, as it happens. */
export type VerificationEvent =
  | { readonly type: 'checksums'; readonly artifact: string; readonly bytes: number; readonly ofBytes: number }
  | {
      readonly type: 'part';
      readonly service: string;
      readonly part: string;
      readonly doing: 'parse' | 'restore' | 'compare' | 'check';
    }
  | { readonly type: 'engine'; readonly service: string; readonly image: string; readonly isSame: boolean }
  | { readonly type: 'part-finished'; readonly report: PartReport };

/** How long each thing may take. */
export interface VerificationTimeouts {
  /** Until a throwaway engine serves; 5 min unless given. */
  readonly startMs?: number;
  /** To restore one part, to fingerprint it, to check it, and to parse it: each; 30 min unless given. */
  readonly workMs?: number;
}

export interface VerifySetOptions {
  readonly store: Pick<BackupStore, 'verify' | 'read' | 'open' | 'recordRestoreTest' | 'appendHistory'>;
  readonly id: string;
  /** 1 manifest and checksums; 2 everything decrypted and parsed; 3 everything restored for a trial and compared. 3 unless given. */
  readonly level?: 1 | 2 | 3;
  /** For level 3: who knows how to restore what. */
  readonly rehearsers?: readonly Rehearser[];
  /** For level 3. */
  readonly docker?: DockerEngine;
  /** Images to use in place of those that the backup names. */
  readonly images?: ImageReplacements;
  /** On everything that is made; what a killed run left with these labels is removed first. */
  readonly labels?: Readonly<Record<string, string>>;
  /** Beside `defaultParsers`. */
  readonly parsers?: Parsers;
  /** Only these services. */
  readonly only?: readonly string[] | undefined;
  readonly timeouts?: VerificationTimeouts;
  readonly signal?: AbortSignal | undefined;
  readonly onEvent?: ((event: VerificationEvent) => void) | undefined;
  readonly now?: (() => Date) | undefined;
}

/** What every part of a verification works with. */
export interface VerificationContext extends VerifySetOptions {
  readonly level: 1 | 2 | 3;
  readonly manifest: SetManifest;
  readonly parsers: Parsers;
  readonly labels: Readonly<Record<string, string>>;
  readonly startMs: number;
  readonly workMs: number;
  readonly now: () => Date;
}

const ownLabels = { 'io.devstack.purpose': 'verification' };

/**
 * Verifies a backup set: what is wrong with it is a value, never an error. The result is written into the store's history, and what a trial
 * restore has shown is kept with the set. Throws `VERIFICATION_OPTIONS_INVALID`, `INTERRUPTED`, and what Docker throws when it is not there.
 */
export async function verifySet(options: VerifySetOptions): Promise<VerificationReport> {
  const { store, id, level = 3, signal, onEvent, now = () => new Date() } = options;
  refuseIncomplete(options, level);
  const startedAt = now();
  const clock = performance.now();
  const checked = await store.verify(id, {
    level: 1,
    ...(signal === undefined ? {} : { signal }),
    onProgress: (progress) => onEvent?.({ type: 'checksums', ...progress }),
  });
  const manifest = await readable(options);
  const context = { ...defaults(options), level, manifest: manifest ?? nothing, now };
  const drafts = draftsOf(context, checked.problems);
  if (level >= 2) await lookAt(context, drafts);
  const trial = level === 3 ? await restoreAll(context, drafts) : { engines: [], selfTest: null };
  const aborted = abortReason(signal, `The verification of ${id}`);
  if (aborted !== undefined) throw aborted;
  const findings = checked.problems.filter(({ artifact }) => artifact === undefined).map(findingOf);
  const parts = drafts.map(finished);
  const report: Omit<VerificationReport, 'isRecorded'> = {
    schema: 'devstack/verification/1',
    id,
    level,
    only: options.only ?? null,
    verdict: overall(level, manifest, findings, parts, checked.problems),
    startedAt: startedAt.toISOString(),
    seconds: (performance.now() - clock) / 1000,
    findings,
    parts,
    engines: trial.engines,
    selfTest: trial.selfTest,
  };
  return { ...report, isRecorded: await recordReport(store, report, manifest) };
}

function refuseIncomplete({ docker, rehearsers }: VerifySetOptions, level: number): void {
  if (level < 3 || (docker !== undefined && rehearsers !== undefined)) return;
  throw new DevstackError({
    code: BackupVerificationErrorCode.optionsInvalid,
    message: 'A verification of level 3 restores, and for that it needs Docker and the engines.',
    hint: 'Give docker and rehearsers, or ask for level 1 or 2.',
    details: { usage: true },
  });
}

function defaults(options: VerifySetOptions): Omit<VerificationContext, 'level' | 'manifest' | 'now'> {
  return {
    ...options,
    parsers: { ...defaultParsers, ...options.parsers },
    labels: { ...ownLabels, ...options.labels },
    startMs: options.timeouts?.startMs ?? 300_000,
    workMs: options.timeouts?.workMs ?? 1_800_000,
  };
}

// Why it cannot be read is among the problems already.
async function readable({ store, id }: VerifySetOptions): Promise<SetManifest | undefined> {
  try {
    return await store.read(id);
  } catch (error) {
    if (isDevstackError(error)) return undefined;
    throw error;
  }
}

const nothing = { parts: [], artifacts: [] } as unknown as SetManifest;

function draftsOf({ manifest, only }: VerificationContext, problems: readonly VerifyProblem[]): readonly PartDraft[] {
  const byName = Map.groupBy(problems, ({ artifact }) => artifact ?? '');
  return manifest.parts
    .filter(({ service }) => only === undefined || only.includes(service))
    .map((part) => {
      const own = manifest.artifacts.filter((one) => one.service === part.service && one.part === part.name);
      const findings = own.flatMap(({ name }) => (byName.get(name) ?? []).map(findingOf));
      return draftOf(part, own, findings);
    });
}

// At level 3 the content is parsed while it is restored.
async function lookAt(context: VerificationContext, drafts: readonly PartDraft[]): Promise<void> {
  for (const draft of drafts) {
    if (context.signal?.aborted === true) return;
    if (draft.findings.length > 0) continue;
    await parsePart(context, draft, context.level === 2);
    if (context.level === 2) context.onEvent?.({ type: 'part-finished', report: finished(draft) });
  }
}

async function restoreAll(context: VerificationContext, drafts: readonly PartDraft[]): Promise<TrialResult> {
  const { docker, labels } = context;
  if (docker === undefined || context.manifest === nothing) return { engines: [], selfTest: null };
  await sweepThrowaways(docker, labels);
  try {
    return await tryRestore({ ...context, docker }, drafts);
  } finally {
    // Normally there is nothing: whoever makes a throwaway removes it.
    await sweepThrowaways(docker, labels).catch(() => undefined);
  }
}

function overall(
  level: number,
  manifest: SetManifest | undefined,
  findings: readonly Finding[],
  parts: readonly PartReport[],
  problems: readonly VerifyProblem[],
): VerificationReport['verdict'] {
  // Artifacts that belong to no part count, too.
  const all = [...findings, ...problems.map(findingOf)];
  const verdicts = [verdictOf(all), ...parts.map(({ verdict }) => verdict)];
  // A set without parts was not tried, whatever its checksums say.
  if (level === 3 && parts.length === 0) verdicts.push('inconclusive');
  return manifest === undefined ? worst([verdictOf(all), 'inconclusive']) : worst(verdicts);
}

function findingOf({ kind, code, message }: VerifyProblem): Finding {
  return { class: kind, code, message };
}
