import type { ArtifactRecord } from '@devstack-core/backup-store';
import type { Fingerprint } from '@devstack-core/database-backup';
import { isDevstackError } from '@devstack-core/errors';
import { withDeadline } from './deadline.ts';
import { BackupVerificationErrorCode } from './errors.ts';
import { parserFor } from './parsers/default-parsers.ts';
import { malformed, type Parsed } from './parsers/parser.ts';
import { timed, type PartDraft } from './part-draft.ts';
import type { Finding, FindingClass } from './report.ts';
import type { VerificationContext } from './verify-set.ts';

/** Opens everything of a part but, unless told to, its content, which a trial restore reads anyway; and keeps the fingerprint. */
export async function parsePart(context: VerificationContext, draft: PartDraft, withContent: boolean): Promise<void> {
  const { part, content, others } = draft;
  context.onEvent?.({ type: 'part', service: part.service, part: part.name, doing: 'parse' });
  if (content === undefined) {
    draft.findings.push({
      class: 'incomplete',
      code: 'BACKUP_INCOMPLETE',
      message: `The part ${part.name} of ${part.service} has no content.`,
    });
    return;
  }
  await timed(draft, async () => {
    for (const artifact of others)
      await attempt(context, draft, artifact, async (stream) => {
        if (artifact.kind === 'fingerprint') draft.expected = await readFingerprint(stream);
        else for await (const _piece of stream);
      });
    if (withContent)
      await attempt(context, draft, content, async (stream) => {
        draft.parsed = await parseContent(context, draft, stream);
      });
  });
}

/** What the content of a part looks like, in words. Throws `ARTIFACT_MALFORMED`. */
export async function parseContent(
  { parsers }: VerificationContext,
  { part }: PartDraft,
  stream: AsyncIterable<Uint8Array>,
): Promise<string> {
  const parser = parserFor(part, parsers);
  if (parser !== undefined) return described(await parser(stream, part));
  let bytes = 0;
  for await (const piece of stream) bytes += piece.byteLength;
  return `${String(bytes)} bytes of unknown structure`;
}

function described({ format, entries }: Parsed): string {
  return `${format}, ${String(entries)} ${entries === 1 ? 'entry' : 'entries'}`;
}

async function attempt(
  { store, id, workMs, signal }: VerificationContext,
  draft: PartDraft,
  artifact: ArtifactRecord,
  read: (stream: AsyncIterable<Uint8Array>) => Promise<void>,
): Promise<void> {
  try {
    await withDeadline(`Reading ${artifact.name}`, workMs, signal, (both) =>
      read(store.open(id, artifact, { signal: both })),
    );
  } catch (error) {
    if (signal?.aborted === true) throw error;
    draft.findings.push(findingOf(error));
  }
}

const longestFingerprint = 512 * 1024 * 1024;

async function readFingerprint(stream: AsyncIterable<Uint8Array>): Promise<Fingerprint> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of stream) {
    bytes += piece.byteLength;
    if (bytes > longestFingerprint) throw malformed('the fingerprint is longer than 512 MiB');
    parts.push(piece);
  }
  try {
    const value = JSON.parse(Buffer.concat(parts).toString('utf8')) as Partial<Fingerprint> | null;
    if (value?.schema === 'devstack/fingerprint/1' && Array.isArray(value.items)) return value as Fingerprint;
  } catch {
    // Said below.
  }
  throw malformed('the fingerprint is none that is known');
}

const classes: Readonly<Record<string, FindingClass>> = {
  [BackupVerificationErrorCode.malformed]: 'malformed',
  [BackupVerificationErrorCode.timedOut]: 'timed-out',
  BACKUP_DAMAGED: 'corrupted',
  BACKUP_TRUNCATED: 'corrupted',
  BACKUP_TRAILING_DATA: 'corrupted',
  BACKUP_NOT_OPENPGP: 'corrupted',
  BACKUP_MANIFEST_DAMAGED: 'corrupted',
  BACKUP_WRONG_PASSPHRASE: 'wrong-passphrase',
  BACKUP_FORMAT_NEWER: 'newer-format',
  BACKUP_INCOMPLETE: 'incomplete',
  BACKUP_NOT_FOUND: 'not-found',
  BACKUP_SWAPPED: 'swapped',
  BACKUP_MANIFEST_FORGED: 'forged',
  BACKUP_REPLAYED: 'replayed',
};

/** What an error of reading means for the set; `other` where it says nothing of its content. */
export function findingOf(error: unknown, other: FindingClass = 'unreadable'): Finding {
  if (!isDevstackError(error))
    return { class: other, code: 'FAILED', message: error instanceof Error ? error.message : String(error) };
  return { class: classes[error.code] ?? other, code: error.code, message: error.message };
}
