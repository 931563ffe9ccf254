import type { Rehearsal, Rehearser } from '@devstack-core/database-backup';
import type { DockerEngine } from '@devstack-core/docker-engine';
import { isDevstackError } from '@devstack-core/errors';
import { withDeadline } from './deadline.ts';
import { imageFor } from './image.ts';
import { judge, tellsWrongOnes } from './judge.ts';
import { findingOf, parseContent } from './parse-part.ts';
import { finished, timed, type PartDraft } from './part-draft.ts';
import { verdictOf, type FindingClass, type ImageUsed, type VerificationReport } from './report.ts';
import { Tee } from './tee.ts';
import type { VerificationContext } from './verify-set.ts';

export type TrialContext = VerificationContext & { readonly docker: DockerEngine };

export type TrialResult = Pick<VerificationReport, 'engines' | 'selfTest'>;

/** Restores every part that is whole so far into throwaway engines, one service after the other, and compares. */
export async function tryRestore(context: TrialContext, drafts: readonly PartDraft[]): Promise<TrialResult> {
  const engines: VerificationReport['engines'][number][] = [];
  const tests: boolean[] = [];
  const byService = Map.groupBy(drafts, ({ part }) => part.service);
  for (const [service, parts] of byService)
    for (const group of groupsOf(context, parts)) {
      if (context.signal?.aborted === true) break;
      const images = await tryGroup(context, group, tests);
      for (const [engine, image] of images) if (image.id !== '') engines.push({ service, engine, image });
      for (const draft of group.drafts) context.onEvent?.({ type: 'part-finished', report: finished(draft) });
    }
  return { engines, selfTest: tests.length === 0 ? null : tests.every(Boolean) ? 'passed' : 'failed' };
}

/** Parts of one service that one engine restores, in the order in which it restores them. */
interface Group {
  readonly rehearser: Rehearser;
  readonly drafts: readonly PartDraft[];
}

function groupsOf({ rehearsers = [] }: TrialContext, drafts: readonly PartDraft[]): readonly Group[] {
  const known = rehearsers.map((rehearser) => ({
    rehearser,
    drafts: drafts
      .filter(({ part }) => rehearserOf(rehearsers, part) === rehearser)
      .toSorted((a, b) => rehearser.kinds.indexOf(a.part.kind) - rehearser.kinds.indexOf(b.part.kind)),
  }));
  for (const draft of drafts)
    if (rehearserOf(rehearsers, draft.part) === undefined)
      draft.findings.push({
        class: 'no-rehearser',
        code: 'ENGINE_UNKNOWN',
        message: `Nothing here restores ${draft.part.kind} of ${draft.part.engine.name} ${draft.part.engine.version}.`,
      });
  return known.filter((group) => group.drafts.length > 0);
}

function rehearserOf(
  rehearsers: readonly Rehearser[],
  { service, engine, kind }: PartDraft['part'],
): Rehearser | undefined {
  return rehearsers.find(
    ({ services, engines, kinds }) =>
      (services?.includes(service) ?? true) && engines.includes(engine.name) && kinds.includes(kind),
  );
}

/** The image of each engine, by its name. */
type Images = ReadonlyMap<string, ImageUsed>;

/** Gives the images that ran; none where none did. */
async function tryGroup(context: TrialContext, { rehearser, drafts }: Group, tests: boolean[]): Promise<Images> {
  const sound = drafts.filter(({ findings }) => verdictOf(findings) !== 'invalid');
  const [first] = sound;
  const images = await imagesOf(context, sound);
  if (first === undefined || images.size === 0) return images;
  for (const { name, isSame } of images.values())
    context.onEvent?.({ type: 'engine', service: first.part.service, image: name, isSame });
  try {
    await using rehearsal = await start(context, rehearser, images, first);
    // Everything first: some engines come up only when all of it is there.
    const restored = await restoreInOrder(context, rehearsal, drafts, images);
    for (const draft of restored) {
      if (context.signal?.aborted === true) break;
      await timed(draft, async () => {
        await comparePart(context, rehearsal, draft, tests);
        await checkPart(context, rehearsal, draft);
      });
    }
  } catch (error) {
    if (context.signal?.aborted === true) throw error;
    for (const draft of sound) if (draft.restoredIn === null) draft.findings.push(findingOf(error, 'trial-failed'));
  }
  return images;
}

// Where one is not here nothing of the group is tried, and each of its parts says why.
async function imagesOf(context: TrialContext, drafts: readonly PartDraft[]): Promise<Images> {
  const images = new Map<string, ImageUsed>();
  for (const { part } of drafts) {
    const { engine } = part;
    const image = images.get(engine.name) ?? (await imageFor(context.docker, engine, context.images ?? {}));
    if (image === undefined) {
      const message = `The image ${engine.image.name} (${engine.image.id}) is not on this machine.`;
      for (const draft of drafts) draft.findings.push({ class: 'no-image', code: 'IMAGE_NOT_FOUND', message });
      return new Map();
    }
    images.set(engine.name, image);
  }
  return images;
}

/** Gives those that were restored. What comes after one that could not be is not tried: it may build upon it. */
async function restoreInOrder(
  context: TrialContext,
  rehearsal: Rehearsal,
  drafts: readonly PartDraft[],
  images: Images,
): Promise<readonly PartDraft[]> {
  const restored: PartDraft[] = [];
  let isBroken = false;
  for (const draft of drafts) {
    if (context.signal?.aborted === true) break;
    if (verdictOf(draft.findings) === 'invalid') isBroken = true;
    else if (isBroken) draft.findings.push(notReached(draft));
    else if (await timed(draft, () => restorePart(context, rehearsal, draft))) {
      const image = images.get(draft.part.engine.name);
      draft.restoredIn = image ?? null;
      if (image?.isSame === false) draft.warnings.push(otherImage(draft, image));
      restored.push(draft);
    } else isBroken = true;
  }
  return restored;
}

function otherImage({ part }: PartDraft, { id }: ImageUsed): string {
  return `It was restored in another image of that name: ${id}, and the backup was made in ${part.engine.image.id}.`;
}

function start(context: TrialContext, rehearser: Rehearser, used: Images, draft: PartDraft): Promise<Rehearsal> {
  const { docker, labels, signal, startMs } = context;
  const images = Object.fromEntries([...used].map(([engine, { id }]) => [engine, id]));
  const image = images[draft.part.engine.name] ?? '';
  const what = `Starting a throwaway ${draft.part.engine.name}`;
  return timed(draft, () =>
    withDeadline(
      what,
      startMs,
      signal,
      (both) => rehearser.rehearse({ docker, image, images, labels, signal: both }),
      async (late) => {
        await late[Symbol.asyncDispose]();
      },
    ),
  );
}

async function restorePart(context: TrialContext, rehearsal: Rehearsal, draft: PartDraft): Promise<boolean> {
  const { part, content } = draft;
  if (content === undefined) return false;
  return stage(context, draft, 'restore', 'restore-failed', async (signal) => {
    const tee = new Tee(context.store.open(context.id, content, { signal }));
    const parsing = settled(parseContent(context, draft, tee.copy));
    const restored = await settled(rehearsal.restore(part, tee.main(), { signal }));
    const parsed = tee.isWhole ? await parsing : await settled(parseAlone(context, draft, signal));
    // What is broken in itself is the reason of whatever the engine says.
    if (parsed.error !== undefined) throw parsed.error;
    draft.parsed = parsed.value ?? null;
    if (restored.error !== undefined) throw restored.error;
  });
}

// The engine gave up before it had read everything.
function parseAlone(context: TrialContext, draft: PartDraft, signal: AbortSignal): Promise<string> {
  const { content } = draft;
  if (content === undefined) return Promise.resolve('');
  return parseContent(context, draft, context.store.open(context.id, content, { signal }));
}

async function comparePart(
  context: TrialContext,
  rehearsal: Rehearsal,
  draft: PartDraft,
  tests: boolean[],
): Promise<void> {
  const { part, expected } = draft;
  if (expected === undefined) {
    draft.findings.push({
      class: 'no-fingerprint',
      code: 'FINGERPRINT_MISSING',
      message: 'It was restored, but the backup holds no fingerprint to compare it with.',
    });
    return;
  }
  await stage(context, draft, 'compare', 'trial-failed', async (signal) => {
    const actual = await rehearsal.fingerprint(part, { signal });
    const { differences, findings, warnings } = judge(expected, actual, part, context.now());
    draft.comparedItems = expected.items.length;
    draft.differences = differences;
    draft.findings.push(...findings);
    draft.warnings.push(...warnings);
    const isSharp = tellsWrongOnes(expected, actual, context.now());
    tests.push(isSharp);
    if (!isSharp)
      draft.findings.push({
        class: 'self-test-failed',
        code: 'SELF_TEST_FAILED',
        message: 'The comparison did not tell deliberately wrong expectations from the right ones.',
      });
  });
}

async function checkPart(context: TrialContext, rehearsal: Rehearsal, draft: PartDraft): Promise<void> {
  await stage(context, draft, 'check', 'trial-failed', async (signal) => {
    const problems = await rehearsal.check(draft.part, { signal });
    draft.integrity.push(...problems);
    if (problems.length > 0)
      draft.findings.push({ class: 'integrity', code: 'INTEGRITY', message: problems.slice(0, 3).join(' ') });
  });
}

/** Does one thing within its time; what goes wrong becomes a finding. */
async function stage(
  { onEvent, workMs, signal }: TrialContext,
  draft: PartDraft,
  doing: 'restore' | 'compare' | 'check',
  failure: FindingClass,
  work: (signal: AbortSignal) => Promise<void>,
): Promise<boolean> {
  const { service, name } = draft.part;
  onEvent?.({ type: 'part', service, part: name, doing });
  try {
    await withDeadline(`The ${doing} of ${name} of ${service}`, workMs, signal, work);
    return true;
  } catch (error) {
    if (signal?.aborted === true) throw error;
    // A throwaway that could not be used says nothing of the backup.
    const isPlace = isDevstackError(error, 'PLACE_UNUSABLE');
    draft.findings.push(findingOf(error, isPlace ? 'trial-failed' : failure));
    return false;
  }
}

function notReached({ part }: PartDraft): { class: 'not-reached'; code: string; message: string } {
  return {
    class: 'not-reached',
    code: 'NOT_REACHED',
    message: `It was not restored, as something of ${part.service} that comes before it could not be.`,
  };
}

interface Settled<T> {
  readonly value?: T;
  readonly error?: Error;
}

async function settled<T>(work: Promise<T>): Promise<Settled<T>> {
  try {
    return { value: await work };
  } catch (error) {
    return { error: error instanceof Error ? error : new Error(String(error)) };
  }
}
