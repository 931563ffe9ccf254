import { randomBytes } from 'node:crypto';
import { link, readFile, readdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout as delay } from 'node:timers/promises';
import { abortReason, DevstackError } from '@devstack-core/errors';
import { DurableFilesErrorCode, fileError, hasErrno } from './errors.ts';
import { ensurePrivateDirectory } from './private-files.ts';
import { isGone, ownIdentity, type ProcessIdentity } from './process-identity.ts';
import { syncDirectory } from './synced-directory.ts';
import { writeFileDurable } from './write-file.ts';

/** Who has a lease. */
export interface LeaseHolder extends ProcessIdentity {
  readonly token: number;
  readonly owner: string;
  readonly command: string;
  /** ISO 8601. */
  readonly since: string;
  /** ISO 8601; null for a lease that lasts as long as its process. */
  readonly expiresAt: string | null;
  readonly released: boolean;
}

/** How to take a lease. */
export interface AcquireLeaseOptions {
  /** A directory of its own; it is made, private. */
  readonly path: string;
  /** What the lease is for, for those who wait: `up`, `backup`. */
  readonly owner: string;
  /** How the holder's command is shown; the owner unless given. Never a secret. */
  readonly command?: string;
  /** How long to wait for the holder; 0 unless given. */
  readonly waitMs?: number;
  /** Called when waiting begins, and again when the holder changes. */
  readonly onWait?: (holder: LeaseHolder) => void;
  readonly signal?: AbortSignal;
  /** Makes the lease end by itself when it is not renewed, which happens in the background. For directories that several machines share. */
  readonly ttlMs?: number;
}

/** A lease that is held. */
export interface Lease extends AsyncDisposable {
  /** Grows with every lease of the path: whoever has the greater one came later. */
  readonly token: number;
  readonly owner: string;
  /** Throws `LEASE_LOST` when another one has taken the lease over meanwhile. */
  assertHeld(): Promise<void>;
  /** Gives it back. A second call does nothing. */
  release(): Promise<void>;
}

/**
 * Takes a lease that one process at a time can have. A lease whose process is gone (killed, or the machine was rebooted) is taken over.
 * Throws `LEASE_HELD`, which names the holder, its pid, since when and its command, or the reason of the signal.
 */
export async function acquireLease(options: AcquireLeaseOptions): Promise<Lease> {
  await ensurePrivateDirectory(options.path);
  const deadline = performance.now() + (options.waitMs ?? 0);
  let shown: number | undefined;
  for (;;) {
    const aborted = abortReason(options.signal, `Waiting for the lease ${options.path}`);
    if (aborted !== undefined) throw aborted;
    const attempt = await tryAcquire(options);
    if ('lease' in attempt) return attempt.lease;
    if (performance.now() >= deadline) throw held(options.path, attempt.holder);
    if (shown !== attempt.holder.token) options.onWait?.(attempt.holder);
    shown = attempt.holder.token;
    await delay(Math.min(100, Math.max(1, deadline - performance.now())), undefined, { signal: options.signal }).catch(
      () => undefined,
    );
  }
}

/** Who has the lease now, or undefined. */
export async function currentLeaseHolder(path: string): Promise<LeaseHolder | undefined> {
  const newest = await newestEntry(path);
  return newest === undefined || isFree(newest) ? undefined : newest;
}

type Attempt = { readonly lease: Lease } | { readonly holder: LeaseHolder };

// Each lease is a file named by its token; the greatest one counts. A file appears complete and at most once per token, by link(2), and the
// greatest one is never removed, a released one neither. So of two processes that see the same dead holder one gets the next token,
// and one that comes late with a token which was used and cleaned away finds a greater one and steps back.
async function tryAcquire(options: AcquireLeaseOptions): Promise<Attempt> {
  for (;;) {
    const newest = await newestEntry(options.path);
    if (newest !== undefined && !isFree(newest)) return { holder: newest };
    const entry = newHolder((newest?.token ?? 0) + 1, options);
    if (!(await publish(options.path, entry))) continue;
    const tokens = await tokensOf(options.path);
    if (Math.max(...tokens) > entry.token) {
      await remove(fileOf(options.path, entry.token));
      continue;
    }
    for (const token of tokens) if (token < entry.token) await remove(fileOf(options.path, token));
    return { lease: new HeldLease(entry, options) };
  }
}

class HeldLease implements Lease {
  readonly token: number;
  readonly owner: string;
  readonly #path: string;
  readonly #renewal: NodeJS.Timeout | undefined;
  #entry: LeaseHolder;
  #released: Promise<void> | undefined;
  #writing: Promise<void> = Promise.resolve();

  constructor(entry: LeaseHolder, { path, ttlMs }: AcquireLeaseOptions) {
    this.token = entry.token;
    this.owner = entry.owner;
    this.#path = path;
    this.#entry = entry;
    if (ttlMs !== undefined) {
      this.#renewal = setInterval(() => {
        this.#renew(ttlMs);
      }, ttlMs / 3);
      this.#renewal.unref();
    }
  }

  async assertHeld(): Promise<void> {
    const newest = await newestEntry(this.#path);
    if (newest?.token === this.token && !isExpired(newest) && this.#released === undefined) return;
    throw new DevstackError({
      code: DurableFilesErrorCode.leaseLost,
      message: `The lease ${this.#path} (${this.owner}, token ${String(this.token)}) is not held any more${takenBy(newest, this.token)}.`,
      hint: 'Stop: another process may be at the same work. Run the command again.',
      details: { path: this.#path, token: this.token, newestToken: newest?.token ?? null },
    });
  }

  release(): Promise<void> {
    clearInterval(this.#renewal);
    this.#released ??= this.#writing.then(() => this.#replace({ ...this.#entry, released: true }));
    return this.#released;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.release();
  }

  #renew(ttlMs: number): void {
    const next = { ...this.#entry, expiresAt: expiry(ttlMs) };
    this.#writing = this.#writing
      .then(() => this.assertHeld())
      .then(() => this.#replace(next))
      // A renewal that fails shows in assertHeld, where the holder asks.
      .catch(() => undefined);
  }

  async #replace(entry: LeaseHolder): Promise<void> {
    // A file that was cleaned away must not come back: the lease belongs to another one.
    if (!(await tokensOf(this.#path)).includes(this.token)) return;
    await writeFileDurable(fileOf(this.#path, this.token), JSON.stringify(entry));
    this.#entry = entry;
  }
}

function newHolder(token: number, { owner, command, ttlMs }: AcquireLeaseOptions): LeaseHolder {
  return {
    token,
    owner,
    command: command ?? owner,
    ...ownIdentity(),
    since: new Date().toISOString(),
    expiresAt: ttlMs === undefined ? null : expiry(ttlMs),
    released: false,
  };
}

async function publish(path: string, entry: LeaseHolder): Promise<boolean> {
  const temporary = join(path, `.new-${String(process.pid)}-${randomBytes(6).toString('hex')}`);
  await writeFileDurable(temporary, JSON.stringify(entry));
  try {
    await link(temporary, fileOf(path, entry.token));
    await syncDirectory(path);
    return true;
  } catch (error) {
    if (hasErrno(error, 'EEXIST')) return false;
    throw fileError(error, 'write', fileOf(path, entry.token));
  } finally {
    await remove(temporary);
  }
}

async function newestEntry(path: string): Promise<LeaseHolder | undefined> {
  for (;;) {
    const token = Math.max(0, ...(await tokensOf(path)));
    if (token === 0) return undefined;
    const file = fileOf(path, token);
    try {
      return parseEntry(await readFile(file, 'utf8'), token);
    } catch (error) {
      // Cleaned away between the two looks: there is a greater one.
      if (!hasErrno(error, 'ENOENT')) throw fileError(error, 'read', file);
    }
  }
}

// Damaged by something else than us. Its token counts, and the process is unknown, so it counts as free.
function parseEntry(text: string, token: number): LeaseHolder {
  try {
    return JSON.parse(text) as LeaseHolder;
  } catch {
    return { ...newHolder(token, { path: '', owner: 'unknown' }), released: true };
  }
}

async function tokensOf(path: string): Promise<number[]> {
  try {
    return (await readdir(path)).flatMap((name) => (/^\d{12}\.json$/.test(name) ? [Number(name.slice(0, 12))] : []));
  } catch (error) {
    if (hasErrno(error, 'ENOENT')) return [];
    throw fileError(error, 'read', path);
  }
}

function fileOf(path: string, token: number): string {
  return join(path, `${String(token).padStart(12, '0')}.json`);
}

function isFree(entry: LeaseHolder): boolean {
  return entry.released || isExpired(entry) || isGone(entry);
}

function isExpired(entry: LeaseHolder): boolean {
  return entry.expiresAt !== null && Date.parse(entry.expiresAt) <= Date.now();
}

function expiry(ttlMs: number): string {
  return new Date(Date.now() + ttlMs).toISOString();
}

async function remove(file: string): Promise<void> {
  await unlink(file).catch(() => undefined);
}

function takenBy(newest: LeaseHolder | undefined, token: number): string {
  return newest === undefined || newest.token === token
    ? ''
    : `: ${newest.owner} (pid ${String(newest.pid)}) has taken it over`;
}

function held(path: string, { owner, pid, since, command, hostname, token }: LeaseHolder): DevstackError {
  return new DevstackError({
    code: DurableFilesErrorCode.leaseHeld,
    message: `${owner} is already running: ${command} (pid ${String(pid)} on ${hostname}) since ${since}.`,
    hint: `Wait for it, or end it: kill ${String(pid)}`,
    details: { path, owner, pid, since, command, hostname, token },
  });
}
