import { findingId, type Finding } from '@devstack-core/audit-report';
import { isInForce, type Allowlist } from './allowlist.ts';

/** What an entry was needed for. */
export interface Use {
  readonly service: string;
  /** A capability or the id of a hardening rule. */
  readonly what: string;
}

/** Entries that have expired, and entries that nobody needs: both are how an allowlist rots. */
export function allowlistFindings(allowlist: Allowlist, uses: readonly Use[], now: Date): readonly Finding[] {
  const used = new Set(uses.map(({ service, what }) => `${service} ${what}`));
  const all = [
    ...allowlist.entries.map((entry) => ({ ...entry, what: entry.capability, severity: entry.risk })),
    ...allowlist.exceptions.map((entry) => ({ ...entry, what: entry.rule, severity: 'medium' as const })),
  ];
  return all.flatMap(({ service, what, line, expires, owner, severity }): Finding[] => {
    const location = { file: allowlist.file, line };
    if (!used.has(`${service} ${what}`)) {
      const ruleId = 'allowlist-entry-unused';
      return [
        {
          id: findingId(ruleId, service, what),
          ruleId,
          severity: 'low',
          title: 'Every entry of the allowlist is needed.',
          message: `The entry for ${what} accepts something that ${service} does not have.`,
          location,
          subject: service,
          remediation: 'Remove the entry: it would hide the next one who adds it.',
        },
      ];
    }
    if (isInForce({ expires }, now)) return [];
    const ruleId = 'allowlist-entry-expired';
    return [
      {
        id: findingId(ruleId, service, what),
        ruleId,
        severity: severity === 'low' ? 'medium' : severity,
        title: 'What is accepted was looked at not too long ago.',
        message: `The entry for ${what} expired on ${expires}.`,
        location,
        subject: service,
        remediation: `Ask ${owner} whether it is still needed; set a new day, or remove both.`,
      },
    ];
  });
}
