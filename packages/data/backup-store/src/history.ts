import { open } from 'node:fs/promises';
import { acquireLease, ensurePrivateDirectory, writeFileDurable } from '@devstack-core/durable-files';
import { layout, type StoreContext } from './context.ts';
import { readSmall, syncFolder } from './files.ts';

/** What happened to the backups, one line each. Anything beside these fields is the caller's own, plain data and never a secret. */
export interface HistoryRecord {
  /** ISO 8601; now unless given. */
  readonly at: string;
  readonly event: 'create' | 'verify' | 'restore' | 'recover' | 'drill' | 'rotate' | 'copy' | 'fetch' | 'passphrase';
  readonly outcome: 'succeeded' | 'failed' | 'inconclusive';
  /** The id of the set that it was about. */
  readonly set?: string;
  readonly durationMs?: number;
  readonly bytes?: number;
  readonly services?: readonly string[];
  /** How deep a verification went. */
  readonly level?: 1 | 2 | 3;
  /** Time that a recovery or a drill took. */
  readonly rtoMs?: number;
  /** Age of the data that it brought back. */
  readonly rpoMs?: number;
  /** The code of the error. */
  readonly code?: string;
  readonly [more: string]: unknown;
}

/** A record to append. */
export type NewHistoryRecord = Omit<HistoryRecord, 'at'> & { readonly at?: string };

const keptMs = 90 * 86_400_000;

/** The history, the oldest first. Lines that cannot be read (torn by a crash) are left out. */
export async function readHistory({ directory }: StoreContext): Promise<readonly HistoryRecord[]> {
  const text = (await readSmall(layout.history(directory))) ?? '';
  return text.split('\n').flatMap((line) => {
    const record = parsed(line);
    return record === undefined ? [] : [record];
  });
}

/** Appends a line, on the disk when this returns, and drops lines that are older than 90 days. */
export async function appendHistory(context: StoreContext, record: NewHistoryRecord): Promise<HistoryRecord> {
  const { directory } = context;
  await ensurePrivateDirectory(layout.state(directory));
  // Verifications append too, and hold no lock of the store.
  await using lease = await acquireLease({ path: layout.historyLease(directory), owner: 'history', waitMs: 30_000 });
  const whole = { at: context.now().toISOString(), ...record } as HistoryRecord;
  const path = layout.history(directory);
  const history = await readHistory(context);
  const young = history.filter(({ at }) => context.now().getTime() - Date.parse(at) <= keptMs);
  await lease.assertHeld();
  if (young.length < history.length) {
    await writeFileDurable(path, [...young, whole].map((line) => `${JSON.stringify(line)}\n`).join(''));
    return whole;
  }
  await using handle = await open(path, 'a+', 0o600);
  const { size } = await handle.stat();
  const { buffer, bytesRead } = await handle.read({ buffer: Buffer.alloc(1), position: Math.max(0, size - 1) });
  // A crash may have cut the last line: the new one starts on its own.
  const isTorn = bytesRead === 1 && buffer.toString() !== '\n';
  await handle.appendFile(`${isTorn ? '\n' : ''}${JSON.stringify(whole)}\n`);
  await handle.sync();
  await syncFolder(layout.state(directory));
  return whole;
}

function parsed(line: string): HistoryRecord | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' &&
      value !== null &&
      'at' in value &&
      typeof value.at === 'string' &&
      !Number.isNaN(Date.parse(value.at)) &&
      'event' in value &&
      'outcome' in value
      ? (value as HistoryRecord)
      : undefined;
  } catch {
    return undefined;
  }
}
