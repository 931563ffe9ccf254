import { findingId, type Finding, type FindingLocation, type Severity } from '@devstack-core/audit-report';

/** A rule of the audit. */
export interface NetworkRuleText {
  readonly severity: Severity;
  readonly title: string;
  readonly remediation: string;
}

/** The id of a rule. */
export type NetworkRuleId =
  | 'network-path-undeclared'
  | 'network-path-broken'
  | 'network-name-undeclared'
  | 'network-name-missing'
  | 'network-joined-undeclared'
  | 'network-not-joined'
  | 'network-egress-undeclared'
  | 'published-port-silent'
  | 'network-paths-entry-unused';

/** What the audit can find, by the rule's id. */
export const networkRules: Readonly<Record<NetworkRuleId, NetworkRuleText>> = {
  'network-path-undeclared': {
    severity: 'high',
    title: 'What is not declared is unreachable.',
    remediation: 'Take the service out of the network that joins them, or declare the path with its reason.',
  },
  'network-path-broken': {
    severity: 'high',
    title: 'A declared path is open.',
    remediation: 'Start the service, put both into a network, or remove the path where it is not needed.',
  },
  'network-name-undeclared': {
    severity: 'medium',
    title: 'Names resolve where they are needed, and only there.',
    remediation: 'Take the service out of the network that joins them, or declare the path with its reason.',
  },
  'network-name-missing': {
    severity: 'medium',
    title: 'The name of a service resolves for those who need it.',
    remediation: 'Make the container anew, so that its name is known in the network.',
  },
  'network-joined-undeclared': {
    severity: 'high',
    title: 'Containers are in the networks of their declaration, and in no other.',
    remediation: 'Run `docker network disconnect`, or declare the network for the service.',
  },
  'network-not-joined': {
    severity: 'medium',
    title: 'Containers are in all networks of their declaration.',
    remediation: 'Make the container anew from its compose file.',
  },
  'network-egress-undeclared': {
    severity: 'high',
    title: 'Only services that need it reach the outside world.',
    remediation:
      'Take the service out of networks that masquerade (`com.docker.network.bridge.enable_ip_masquerade`), or declare its egress with its reason.',
  },
  'published-port-silent': {
    severity: 'medium',
    title: 'Published ports answer.',
    remediation:
      'Start the service; where the network is `internal`, turn masquerading off instead, which keeps published ports.',
  },
  'network-paths-entry-unused': {
    severity: 'low',
    title: 'Every declared path is needed.',
    remediation: 'Remove the entry: it would hide what uses it next.',
  },
};

/** One finding by its rule; `key` tells findings of one subject apart. */
export function finding(
  ruleId: NetworkRuleId,
  subject: string,
  message: string,
  more: { readonly key?: string; readonly location?: FindingLocation | undefined; readonly severity?: Severity } = {},
): Finding {
  const rule = networkRules[ruleId];
  return {
    id: findingId(ruleId, subject, more.key ?? ''),
    ruleId,
    severity: more.severity ?? rule.severity,
    title: rule.title,
    message,
    ...(more.location === undefined ? {} : { location: more.location }),
    subject,
    remediation: rule.remediation,
  };
}
