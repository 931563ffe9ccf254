import { hardeningRules } from './rules.ts';
import type { Allowlist } from './allowlist.ts';
import { capabilities, capabilityOf, maskOf, namesIn } from './capabilities.ts';
import { conditionWords } from './risk.ts';
import type { DeclaredServices } from './verdicts.ts';

/** What the guide is made from. */
export interface GuideOptions {
  readonly compose: Pick<DeclaredServices, 'services'>;
  readonly allowlist: Allowlist;
}

/** Markdown: which service has which capability and why, what is accepted until when, and what each capability means. Ends with a new line. */
export function renderCapabilityGuide({ compose, allowlist }: GuideOptions): string {
  return `${[
    '# Capabilities',
    '',
    'Which Linux capabilities the services have, why, and what each means. Made from the compose files (`cap_add` and `x-devstack.capabilities`),',
    `\`${allowlist.file}\` and the risk table of \`capability-audit\` by a test: change those, not this page.`,
    '',
    '## Services',
    '',
    ...services(compose),
    '',
    '## Accepted capabilities',
    '',
    ...entries(allowlist),
    '',
    '## Accepted exceptions of hardening',
    '',
    ...exceptions(allowlist),
    '',
    '## The risk of each capability',
    '',
    "For a container of root's engine under the default seccomp profile. A condition raises the level by one, or as said; a user namespace lowers it by",
    'one for what reaches beyond the container.',
    '',
    ...table(
      ['capability', 'Docker gives it', 'risk', 'lets a process', 'worse when'],
      capabilities.map(({ name, byDefault, level, grants, raisedBy, raisesTo }) => [
        `\`${name}\``,
        byDefault ? 'yes' : '',
        level,
        grants,
        raisedBy.map(conditionWords).join('; ') + (raisesTo === undefined ? '' : ` (${raisesTo})`),
      ]),
    ),
    '',
    '## Rules of hardening',
    '',
    'Looked at on the running container. An exception names the rule.',
    '',
    ...table(
      ['rule', 'severity', 'demands', 'mended by'],
      hardeningRules.map(({ id, severity, title, remediation }) => [`\`${id}\``, severity, title, remediation]),
    ),
  ].join('\n')}\n`;
}

function services({ services: all }: GuideOptions['compose']): readonly string[] {
  const rows = all.map((service) => {
    const added = namesIn(maskOf(service.capabilitiesAdded));
    const reasons = added.map((name) => {
      const said = service.capabilities.find((capability) => capabilityOf(capability.name)?.name === name);
      return `\`${name}\`: ${said?.reason ?? 'no reason given'}`;
    });
    return [
      service.name,
      service.capabilitiesDropped.length === 0 ? 'nothing' : service.capabilitiesDropped.join(', '),
      added.length === 0 ? 'none' : added.map((name) => `\`${name}\``).join(', '),
      reasons.join('; '),
    ];
  });
  return table(['service', 'drops', 'adds', 'why'], rows);
}

function entries({ entries: all }: Allowlist): readonly string[] {
  if (all.length === 0) return ['None.'];
  return table(
    ['service', 'capability', 'accepted risk', 'reason', 'owner', 'until'],
    all.map(({ service, capability, risk, reason, owner, expires }) => [
      service,
      `\`${capability}\``,
      risk,
      reason,
      owner,
      expires,
    ]),
  );
}

function exceptions({ exceptions: all }: Allowlist): readonly string[] {
  if (all.length === 0) return ['None.'];
  return table(
    ['service', 'rule', 'reason', 'owner', 'until'],
    all.map(({ service, rule, reason, owner, expires }) => [service, `\`${rule}\``, reason, owner, expires]),
  );
}

// Padded as prettier writes tables, so that a formatted page stays equal to a generated one.
function table(head: readonly string[], rows: readonly (readonly string[])[]): readonly string[] {
  const cells = [head, ...rows].map((row) => row.map((cell) => cell.replaceAll('|', '\\|').replaceAll('\n', ' ')));
  const widths = head.map((_, column) => Math.max(3, ...cells.map((row) => (row[column] ?? '').length)));
  const line = (row: readonly string[]): string =>
    `| ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`;
  const [first = [], ...rest] = cells;
  return [line(first), `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`, ...rest.map(line)];
}
