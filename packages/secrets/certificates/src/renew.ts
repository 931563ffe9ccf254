import { join } from 'node:path';
import { createSecureContext } from 'node:tls';
import { acquireLease, ensurePrivateDirectory } from '@devstack-core/durable-files';
import { abortReason, DevstackError, isDevstackError } from '@devstack-core/errors';
import { CertificatesErrorCode } from './errors.ts';
import { checkClock, leafOf, type LeafCertificate } from './leaf-certificate.ts';
import {
  currentVersion,
  pruneVersions,
  readLeaf,
  readPending,
  removePending,
  switchTo,
  switchToNone,
  writePending,
  writeVersion,
  type InstalledLeaf,
  type PendingSwitch,
} from './leaf-files.ts';
import { needsRenewal } from './needs-renewal.ts';
import { bundleOf } from './pem.ts';

/** The moments of a renewal, in their order. Between `switched` and `verified` the server may present either certificate; both are valid. */
export type RenewalStep =
  | 'issued'
  | 'written'
  | 'recorded'
  | 'switched'
  | 'reloaded'
  | 'verified'
  | 'pruned'
  | 'switched-back'
  | 'reloaded-old';

/** Why a certificate is renewed. */
export type RenewalReason = 'due' | 'missing' | 'unreadable' | 'roots-changed' | 'forced';

export interface RenewOptions {
  /** Private, ours alone; servers read `<directory>/current/tls.{crt,key}` and `ca.crt`. */
  readonly directory: string;
  /** Gets a new certificate: `issueLeaf`, `issueFromRoot`, or anything else. */
  readonly issue: (context: { readonly signal: AbortSignal | undefined }) => Promise<LeafCertificate>;
  /** Makes the server read the files again. Default: nothing, for the first certificate of a server that does not run yet. */
  readonly reload?: (installed: InstalledLeaf) => Promise<void>;
  /** Throws unless the server presents this certificate: `verifyServed`. Without it a reload that did not fail counts as success. */
  readonly verify?: (installed: InstalledLeaf) => Promise<unknown>;
  /** Default 30 days, and never more than a third of the time that a new one can be used. */
  readonly beforeMs?: number;
  /** The roots that shall be trusted: a directory with others is due. */
  readonly caBundlePem?: string;
  readonly force?: boolean;
  readonly now?: () => Date;
  readonly signal?: AbortSignal;
  readonly onStep?: (step: RenewalStep) => void;
}

export interface RenewalResult {
  /** `finished`: a renewal that was cut off before is complete now. */
  readonly outcome: 'renewed' | 'not-due' | 'finished';
  readonly reason: RenewalReason | undefined;
  readonly installed: InstalledLeaf;
  readonly previousSerial: string | undefined;
}

/**
 * Renews the certificate of a directory when it is due: a new one is issued and written beside the old, one rename switches, the server
 * reloads, and what it presents is verified; when it refuses, the old one is put back. Killed at any step it leaves a whole, valid
 * certificate in place, and the next call finishes or undoes what was begun. One at a time for one directory: it takes a lease.
 * Throws `CERTIFICATE_RENEWAL_FAILED` (nothing new; the old one stays), `CERTIFICATE_ROLLED_BACK` (the server did not take it),
 * `LEASE_HELD`, and what durable-files throws.
 */
export async function renew(options: RenewOptions): Promise<RenewalResult> {
  const { directory } = options;
  await ensurePrivateDirectory(directory);
  await using _lease = await acquireLease({
    path: join(directory, 'lease'),
    owner: 'renew',
    waitMs: 60_000,
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  });
  const finished = await finishInterrupted(options);
  const installed = await readLeaf(directory).catch((error: unknown) => {
    if (isDevstackError(error, CertificatesErrorCode.missing)) return 'missing' as const;
    if (isDevstackError(error, CertificatesErrorCode.unreadable)) return 'unreadable' as const;
    throw error;
  });
  const reason = reasonToRenew(options, installed, finished);
  if (reason === undefined && typeof installed === 'object') {
    const outcome = finished ? 'finished' : 'not-due';
    return { outcome, reason: undefined, installed, previousSerial: undefined };
  }
  const old = typeof installed === 'object' ? installed : undefined;
  const leaf = await obtain(options, old);
  options.onStep?.('issued');
  const next = await writeVersion(directory, leaf, nowOf(options)).catch((error: unknown) => {
    throw failed(options, old, 'write', error);
  });
  options.onStep?.('written');
  const pending = { previous: await currentVersion(directory), next };
  await writePending(directory, pending);
  options.onStep?.('recorded');
  await switchTo(directory, next);
  options.onStep?.('switched');
  const renewed = await complete(options, pending);
  return { outcome: 'renewed', reason, installed: renewed, previousSerial: old?.serial };
}

function reasonToRenew(
  options: RenewOptions,
  installed: InstalledLeaf | 'missing' | 'unreadable',
  finished: boolean,
): RenewalReason | undefined {
  if (typeof installed === 'string') return installed;
  const { beforeMs, caBundlePem, force = false } = options;
  if (force && !finished) return 'forced';
  if (needsRenewal(installed, nowOf(options), beforeMs === undefined ? {} : { beforeMs })) return 'due';
  const isOther = caBundlePem !== undefined && bundleOf([caBundlePem]) !== bundleOf([installed.caBundlePem]);
  return isOther ? 'roots-changed' : undefined;
}

async function obtain(options: RenewOptions, old: InstalledLeaf | undefined): Promise<LeafCertificate> {
  try {
    const aborted = abortReason(options.signal, 'The renewal');
    if (aborted !== undefined) throw aborted;
    const issued = await options.issue({ signal: options.signal });
    const leaf = leafOf({ ...issued, caBundlePem: options.caBundlePem ?? issued.caBundlePem });
    checkClock(leaf, nowOf(options));
    // What no server could load is not even tried.
    createSecureContext({ cert: `${leaf.certificatePem}${leaf.chainPem}`, key: leaf.privateKey.reveal() });
    return leaf;
  } catch (error) {
    if (isDevstackError(error, 'INTERRUPTED')) throw error;
    throw failed(options, old, 'issue', error);
  }
}

/** From the switch on: what remains to be done by whoever finds it, this call or the next. */
async function complete(options: RenewOptions, pending: PendingSwitch): Promise<InstalledLeaf> {
  const { directory } = options;
  const installed = await readLeaf(directory);
  try {
    await options.reload?.(installed);
    options.onStep?.('reloaded');
    await options.verify?.(installed);
    options.onStep?.('verified');
  } catch (error) {
    throw await goBack(options, pending, installed, error);
  }
  await removePending(directory);
  // The one before stays for a person who wants it back by hand.
  await pruneVersions(directory, [pending.next, pending.previous]);
  options.onStep?.('pruned');
  return installed;
}

async function goBack(
  options: RenewOptions,
  pending: PendingSwitch,
  refused: InstalledLeaf,
  cause: unknown,
): Promise<DevstackError> {
  const { directory } = options;
  const { previous } = pending;
  if (previous === undefined) await switchToNone(directory);
  else await switchTo(directory, previous);
  options.onStep?.('switched-back');
  let isOldServed = previous === undefined ? undefined : true;
  if (previous !== undefined) {
    try {
      const old = await readLeaf(directory);
      await options.reload?.(old);
      await options.verify?.(old);
    } catch {
      isOldServed = false;
    }
  }
  options.onStep?.('reloaded-old');
  await removePending(directory);
  await pruneVersions(directory, [previous]);
  const after =
    isOldServed === undefined
      ? 'There was none before.'
      : isOldServed
        ? 'The old one is back and served.'
        : 'The old one is back in its place, but the server does not present it either.';
  return new DevstackError({
    code: CertificatesErrorCode.rolledBack,
    message: `The server did not take the new certificate in ${directory}: ${textOf(cause)} ${after}`,
    hint:
      isOldServed === false
        ? "Look at the server's log, and restart it."
        : "Look at the server's log, then renew again.",
    cause,
    details: { directory, refusedSerial: refused.serial, oldServed: isOldServed ?? null },
  });
}

/** True when a switch was found under way and is complete now. A version that was not switched to yet is thrown away. */
async function finishInterrupted(options: RenewOptions): Promise<boolean> {
  const { directory } = options;
  const pending = await readPending(directory);
  const current = await currentVersion(directory);
  if (pending !== undefined && pending.next === current) {
    await complete(options, pending);
    return true;
  }
  if (pending !== undefined) await removePending(directory);
  if (current !== undefined) await pruneVersions(directory, [current, pending?.previous]);
  return false;
}

function failed(
  { directory }: RenewOptions,
  old: InstalledLeaf | undefined,
  stage: 'issue' | 'write',
  cause: unknown,
): DevstackError {
  const left =
    old === undefined
      ? 'There is none in place.'
      : `The old one stays; it is valid until ${old.notAfter.toISOString()}.`;
  const hint = isDevstackError(cause) ? cause.hint : undefined;
  return new DevstackError({
    code: CertificatesErrorCode.renewalFailed,
    message: `The certificate in ${directory} was not renewed: ${textOf(cause)} ${left}`,
    hint: hint ?? 'Mend the cause and renew again.',
    cause,
    details: {
      directory,
      stage,
      causeCode: isDevstackError(cause) ? cause.code : null,
      oldNotAfter: old?.notAfter.toISOString() ?? null,
    },
  });
}

/** Texts of other errors may hold anything: they stay in the cause. */
function textOf(error: unknown): string {
  if (isDevstackError(error)) return error.message;
  return error instanceof Error ? `${error.name} (see the cause).` : 'see the cause.';
}

function nowOf(options: RenewOptions): Date {
  return options.now?.() ?? new Date();
}
