import { findingId, type Finding, type FindingLocation } from '@devstack-core/audit-report';
import type { HardeningException } from './allowlist.ts';
import type { Observation } from './observe.ts';
import type { HardeningRule } from './rule.ts';
import { hardeningRules } from './rules.ts';

/** A breach of a rule that an exception accepts. */
export interface AcceptedBreach {
  readonly rule: string;
  readonly subject: string;
  readonly message: string;
  readonly reason: string;
}

/** What the rules say of one container. */
export interface HardeningResult {
  readonly findings: readonly { readonly rule: HardeningRule; readonly finding: Finding }[];
  readonly accepted: readonly AcceptedBreach[];
}

/** Checks every rule. An expired exception is told by the allowlist's own finding, so it still covers here. */
export function hardeningFindings(
  observed: Observation,
  exceptions: readonly Pick<HardeningException, 'service' | 'rule' | 'reason'>[],
  locate: (field: string) => FindingLocation | undefined,
): HardeningResult {
  const findings: HardeningResult['findings'][number][] = [];
  const accepted: AcceptedBreach[] = [];
  for (const rule of hardeningRules) {
    const exception = exceptions.find((one) => one.service === observed.service && one.rule === rule.id);
    for (const { message, severity = rule.severity, key = '' } of rule.check(observed)) {
      if (exception !== undefined) {
        accepted.push({ rule: rule.id, subject: observed.subject, message, reason: exception.reason });
        continue;
      }
      const location = locate(rule.field);
      findings.push({
        rule,
        finding: {
          id: findingId(rule.id, observed.subject, key),
          ruleId: rule.id,
          severity,
          title: rule.title,
          message,
          ...(location === undefined ? {} : { location }),
          subject: observed.subject,
          remediation: rule.remediation,
        },
      });
    }
  }
  return { findings, accepted };
}
