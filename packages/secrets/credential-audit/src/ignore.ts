import type { Finding } from '@devstack-core/audit-report';
import { DevstackError } from '@devstack-core/errors';
import { CredentialAuditErrorCode } from './errors.ts';
import type { Place } from './ledger.ts';
import type { Surface } from './surfaces.ts';

/** A finding that is known and accepted. All fields that are given must fit. */
export interface IgnoreEntry {
  /** Why; not empty. */
  readonly reason: string;
  /** The id of one finding. */
  readonly id?: string;
  readonly ruleId?: string;
  /** A container, image, volume or file. */
  readonly subject?: string;
  readonly surface?: Surface;
  /** A part of the place, e.g. `Config.Env[3]`. */
  readonly at?: string;
}

/** A finding that an entry of the ignore list took away. */
export interface IgnoredFinding {
  readonly id: string;
  readonly ruleId: string;
  readonly subject: string;
  readonly reason: string;
}

/** Throws AUDIT_INPUT_INVALID for an entry without a reason, or one that fits everything. */
export function checkIgnore(entries: readonly IgnoreEntry[]): void {
  for (const [index, { reason, ...fields }] of entries.entries()) {
    const fault =
      reason.trim() === '' ? 'has no reason' : Object.values(fields).length === 0 ? 'fits everything' : undefined;
    if (fault === undefined) continue;
    throw new DevstackError({
      code: CredentialAuditErrorCode.auditInputInvalid,
      message: `Entry ${String(index + 1)} of the ignore list ${fault}.`,
      hint: 'Give each entry a reason and at least one of id, ruleId, subject, surface and at.',
      details: { entry: index },
    });
  }
}

/** The entry that a finding falls under. */
export function ignoredBy(
  entries: readonly IgnoreEntry[],
  finding: Finding,
  place: Place | undefined,
): IgnoreEntry | undefined {
  return entries.find(
    ({ id, ruleId, subject, surface, at }) =>
      (id === undefined || id === finding.id) &&
      (ruleId === undefined || ruleId === finding.ruleId) &&
      (subject === undefined || subject === finding.subject) &&
      (surface === undefined || surface === place?.surface) &&
      (at === undefined || place?.at.includes(at) === true),
  );
}
