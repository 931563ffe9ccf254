import { open, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { DevstackError } from '@devstack-core/errors';
import { DurableFilesErrorCode, fileError } from './errors.ts';
import { syncDirectory } from './synced-directory.ts';

/** What a journal knows of one step. */
export interface StepRecord {
  readonly step: string;
  readonly state: 'begun' | 'done';
  /** ISO 8601. */
  readonly begunAt: string | undefined;
  readonly doneAt: string | undefined;
  readonly data: unknown;
}

/** A journal of steps on the disk: what it says is done was done, also after a crash. */
export interface Journal extends AsyncDisposable {
  /** In the order in which they began; what was undone is not among them. */
  steps(): readonly StepRecord[];
  /** Runs a step that is not done yet and records both ends; gives undefined for one that is done. */
  run<T>(step: string, work: () => Promise<T>): Promise<T | undefined>;
  begin(step: string): Promise<void>;
  /** The data is kept as JSON; never a secret. */
  done(step: string, data?: unknown): Promise<void>;
  /** What `done` recorded for a step, or undefined. */
  data(step: string): unknown;
  /** Calls back for every step that began or was done, the latest first, and forgets each one as soon as it is undone. */
  unwind(undo: (record: StepRecord) => Promise<void>): Promise<void>;
  /** Forgets all steps. */
  reset(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Opens or makes a journal: one JSON line per event, appended and synced before the call returns. A last line that was torn by a crash is
 * dropped. One process at a time: hold a lease. Throws `JOURNAL_DAMAGED` for any other line that cannot be read, `DISK_FULL`, `FILE_NOT_PERMITTED`.
 */
export async function openJournal({ path }: { readonly path: string }): Promise<Journal> {
  try {
    // Read and write, made where missing, never truncated.
    const handle = await open(path, 'a+', 0o600);
    const text = await handle.readFile('utf8');
    const whole = text.slice(0, text.lastIndexOf('\n') + 1);
    await handle.truncate(Buffer.byteLength(whole));
    await handle.sync();
    await syncDirectory(dirname(path));
    return new FileJournal(path, handle, whole);
  } catch (error) {
    throw error instanceof DevstackError ? error : fileError(error, 'open the journal', path);
  }
}

interface JournalLine {
  readonly step: string;
  readonly event: 'begun' | 'done' | 'undone';
  readonly at: string;
  readonly data?: unknown;
}

class FileJournal implements Journal {
  readonly #path: string;
  readonly #handle: FileHandle;
  readonly #steps = new Map<string, StepRecord>();
  #sizeBytes: number;
  #writing: Promise<void> = Promise.resolve();

  constructor(path: string, handle: FileHandle, text: string) {
    this.#path = path;
    this.#handle = handle;
    this.#sizeBytes = Buffer.byteLength(text);
    for (const [index, line] of text.split('\n').slice(0, -1).entries()) this.#apply(parseLine(path, line, index + 1));
  }

  steps(): readonly StepRecord[] {
    return [...this.#steps.values()];
  }

  async run<T>(step: string, work: () => Promise<T>): Promise<T | undefined> {
    if (this.#steps.get(step)?.state === 'done') return undefined;
    await this.begin(step);
    const result = await work();
    await this.done(step);
    return result;
  }

  begin(step: string): Promise<void> {
    return this.#append({ step, event: 'begun', at: now() });
  }

  done(step: string, data?: unknown): Promise<void> {
    return this.#append({ step, event: 'done', at: now(), ...(data === undefined ? {} : { data }) });
  }

  data(step: string): unknown {
    return this.#steps.get(step)?.data;
  }

  async unwind(undo: (record: StepRecord) => Promise<void>): Promise<void> {
    for (const record of this.steps().toReversed()) {
      await undo(record);
      await this.#append({ step: record.step, event: 'undone', at: now() });
    }
  }

  async reset(): Promise<void> {
    await this.#writing;
    await this.#cut(0);
    this.#steps.clear();
  }

  async close(): Promise<void> {
    await this.#writing;
    await this.#handle.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #append(line: JournalLine): Promise<void> {
    const written = this.#writing.then(() => this.#write(line));
    // The next line does not fail because this one did.
    this.#writing = written.catch(() => undefined);
    return written;
  }

  async #write(line: JournalLine): Promise<void> {
    const bytes = Buffer.from(`${JSON.stringify(line)}\n`);
    try {
      await this.#handle.appendFile(bytes);
      await this.#handle.sync();
    } catch (error) {
      // Half a line must not stand before the next one.
      await this.#cut(this.#sizeBytes).catch(() => undefined);
      throw fileError(error, 'write the journal', this.#path);
    }
    this.#sizeBytes += bytes.length;
    this.#apply(line);
  }

  async #cut(sizeBytes: number): Promise<void> {
    await this.#handle.truncate(sizeBytes);
    await this.#handle.sync();
    this.#sizeBytes = sizeBytes;
  }

  #apply({ step, event, at, data }: JournalLine): void {
    const known = this.#steps.get(step);
    if (event === 'undone') this.#steps.delete(step);
    else if (event === 'begun')
      this.#steps.set(step, { step, state: 'begun', begunAt: at, doneAt: undefined, data: undefined });
    else this.#steps.set(step, { step, state: 'done', begunAt: known?.begunAt, doneAt: at, data });
  }
}

function parseLine(path: string, text: string, number: number): JournalLine {
  try {
    const line = JSON.parse(text) as Partial<JournalLine>;
    if (
      typeof line.step === 'string' &&
      typeof line.at === 'string' &&
      ['begun', 'done', 'undone'].includes(line.event ?? '')
    )
      return line as JournalLine;
  } catch {
    // Said below.
  }
  throw new DevstackError({
    code: DurableFilesErrorCode.journalDamaged,
    message: `Line ${String(number)} of the journal ${path} cannot be read.`,
    hint: 'Move the journal away to start from the first step; steps that are done are found done.',
    details: { path, line: number },
  });
}

function now(): string {
  return new Date().toISOString();
}
