import { findingId, type Finding, type FindingLocation, type Severity } from '@devstack-core/audit-report';
import { capabilityOf } from './capabilities.ts';
import type { CapabilityVerdict } from './verdicts.ts';

interface Rule {
  readonly id: string;
  readonly title: string;
  readonly remediation: string;
  readonly applies: (verdict: CapabilityVerdict) => boolean;
  readonly severity: (verdict: CapabilityVerdict) => Severity;
  readonly message: (verdict: CapabilityVerdict) => string;
}

// The first one that applies tells of a capability; whether it does anything is told beside.
const rules: readonly Rule[] = [
  {
    id: 'capability-by-privileged-exec',
    title: 'Nobody works in a container with more than the container has.',
    remediation: 'End that session; use `docker exec` without `--privileged`.',
    applies: ({ drift }) => drift.includes('exec-privileged'),
    severity: ({ level }) => level,
    message: ({ name }) => `A session of \`docker exec --privileged\` has ${name}, which the container has not.`,
  },
  {
    id: 'capability-beyond-configuration',
    title: 'No process has a capability that its container was not given.',
    remediation:
      'Find the process (its number is in the data of the container) and how it came in; restart the container.',
    applies: ({ drift }) => drift.includes('beyond-configuration'),
    severity: ({ level }) => level,
    message: ({ name }) => `A process can reach ${name}, which the container was not given.`,
  },
  {
    id: 'capability-added-at-run-time',
    title: 'Containers have the capabilities of their compose file, and no others.',
    remediation: 'Make the container anew from the compose file, or declare the capability there with its reason.',
    applies: ({ drift }) => drift.includes('added-at-run-time'),
    severity: ({ level }) => level,
    message: ({ name }) => `${name} was added when the container was made; the compose file does not have it.`,
  },
  {
    id: 'capability-not-allowed',
    title: 'Every capability has an entry in the allowlist.',
    remediation: 'Do without it, or add {service, capability, reason, risk, owner, expires} to the allowlist.',
    applies: ({ allowed }) => allowed === 'no',
    severity: ({ level }) => level,
    message: ({ name }) => `${name} has no entry in the allowlist.`,
  },
  {
    id: 'capability-risk-above-accepted',
    title: 'What was accepted is no graver than it was.',
    remediation: 'Take away what raises the risk, or accept the higher one in the allowlist.',
    applies: ({ allowed }) => allowed === 'risk-too-high',
    severity: ({ level }) => level,
    message: ({ name, level, entry }) =>
      `${name} was accepted with risk ${entry?.risk ?? 'low'}, and is ${level} here.`,
  },
];

const ineffective: Rule = {
  id: 'capability-ineffective',
  title: 'A capability that is added does something.',
  remediation: 'Remove it from `cap_add`: a user other than root gets no capability by it.',
  applies: ({ drift }) => drift.includes('ineffective'),
  severity: () => 'low',
  message: ({ name, reachable }) =>
    reachable
      ? `${name} is in no effective set: it helps no process, yet a setuid program could get it.`
      : `${name} is in no effective set, and no process can get it.`,
};

/** What is wrong with the capabilities of one container or service. */
export function capabilityFindings(
  subject: string,
  verdicts: readonly CapabilityVerdict[],
  locate: (capability: string) => FindingLocation | undefined,
): readonly Finding[] {
  return verdicts.flatMap((verdict) => {
    const first = rules.find((rule) => rule.applies(verdict));
    const applying = [...(first === undefined ? [] : [first]), ...(ineffective.applies(verdict) ? [ineffective] : [])];
    return applying.map((rule) => {
      const location = locate(verdict.name);
      const why =
        rule === ineffective || verdict.reasons.length === 0
          ? ''
          : ` Risk ${verdict.level}: ${verdict.reasons.join(', ')}.`;
      const grants = rule === ineffective ? '' : ` It allows to: ${capabilityOf(verdict.name)?.grants ?? ''}.`;
      return {
        id: findingId(rule.id, subject, verdict.name),
        ruleId: rule.id,
        severity: rule.severity(verdict),
        title: rule.title,
        message: `${rule.message(verdict)}${grants}${why}`,
        ...(location === undefined ? {} : { location }),
        subject,
        remediation: rule.remediation,
      };
    });
  });
}
