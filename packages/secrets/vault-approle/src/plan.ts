import type { RoleSettings } from '@devstack-core/vault-client';
import {
  normalizedCidrs,
  sameCidrs,
  secretIdTtlOf,
  type BootstrapOptions,
  type Consumer,
  type RoleDefinition,
} from './definitions.ts';
import type { BootstrapState, ConsumerState } from './inspect.ts';

/** Who issued a secret_id, in its metadata: what lets a later bootstrap clean up after one that was killed. */
export const issuer = 'devstack-bootstrap';

/** Superseded secret_ids are removed by a later bootstrap when their replacement has had this long to be delivered. */
const supersededGraceMs = 60 * 60 * 1000;

/** One thing to do. Steps of one phase may run at once; phases follow each other. */
export type BootstrapStep =
  | { readonly kind: 'kv' | 'approle' | 'approle-tune' | 'audit'; readonly subject: string; readonly why: string }
  | { readonly kind: 'policy' | 'role'; readonly subject: string; readonly why: string; readonly role: RoleDefinition }
  | {
      readonly kind: 'role-id' | 'secret-id';
      readonly subject: string;
      readonly why: string;
      readonly consumer: Consumer;
    }
  | { readonly kind: 'record'; readonly subject: string; readonly why: string; readonly consumer: Consumer }
  | {
      readonly kind: 'prune';
      readonly subject: string;
      readonly why: string;
      readonly role: string;
      readonly accessor: string;
      readonly consumer?: Consumer;
    };

/**
 * What runs beside what: the tracks at once, the phases of a track after each other, the steps of a phase at once. The audit device comes before all. A later phase needs what
 * an earlier one of its track makes. A new KV mount takes Vault a while, which nothing else has to wait for.
 */
export const tracks: readonly (readonly (readonly BootstrapStep['kind'][])[])[] = [
  [['kv', 'policy']],
  [['approle', 'approle-tune'], ['role'], ['role-id', 'secret-id'], ['record', 'prune']],
];

/** How a step is named in reports and events: `policy postgres`. */
export function stepName(step: Pick<BootstrapStep, 'kind' | 'subject'>): string {
  return `${step.kind} ${step.subject}`;
}

/** Everything that would be a step, also where there is nothing to do: what a report counts as unchanged. */
export function allStepNames(options: Pick<BootstrapOptions, 'roles' | 'consumers' | 'auditPath'>): readonly string[] {
  return [
    'kv secret',
    'approle approle',
    ...(options.auditPath === undefined ? [] : [`audit ${options.auditPath}`]),
    ...options.roles.flatMap(({ role }) => [`policy ${role}`, `role ${role}`]),
    ...options.consumers.flatMap(({ service }) => [`role-id ${service}`, `secret-id ${service}`]),
  ];
}

/** What is to be done to get from one state to what the options declare; nothing when it is there. A pure function. */
export function planBootstrap(
  options: Pick<BootstrapOptions, 'roles' | 'consumers' | 'auditPath' | 'secretIdTtlS'> & { readonly force?: boolean },
  state: BootstrapState,
  now: Date,
): readonly BootstrapStep[] {
  return [
    ...mountSteps(options, state),
    ...options.roles.flatMap((role) => roleSteps(role, options, state)),
    ...options.consumers.flatMap((consumer) => consumerSteps(consumer, options, state, now)),
    ...pruneSteps(options, state, now),
  ];
}

/** What Vault is to be told of a role. */
export function settingsOf(role: RoleDefinition, secretIdTtlS: number | undefined): Required<RoleSettings> {
  const tokenTtlS = role.tokenTtlS ?? 300;
  return {
    tokenPolicies: [role.role],
    tokenNoDefaultPolicy: true,
    tokenTtlS,
    tokenMaxTtlS: role.tokenMaxTtlS ?? Math.max(3600, tokenTtlS),
    tokenPeriodS: 0,
    tokenNumUses: 0,
    tokenBoundCidrs: normalizedCidrs(role.boundCidrs),
    tokenType: 'service',
    bindSecretId: true,
    secretIdTtlS: secretIdTtlOf(role, secretIdTtlS),
    secretIdNumUses: 0,
    secretIdBoundCidrs: normalizedCidrs(role.boundCidrs),
  };
}

/** The longest lifetime that the auth mount has to allow: Vault cuts longer ones without a word. */
export function longestTtlS(options: Pick<BootstrapOptions, 'roles' | 'secretIdTtlS'>): number {
  return Math.max(...options.roles.map((role) => secretIdTtlOf(role, options.secretIdTtlS)), 0);
}

function mountSteps(
  options: Pick<BootstrapOptions, 'roles' | 'auditPath' | 'secretIdTtlS'>,
  state: BootstrapState,
): readonly BootstrapStep[] {
  const steps: BootstrapStep[] = [];
  if (state.kv === undefined) steps.push({ kind: 'kv', subject: 'secret', why: 'there is no KV v2 mount' });
  if (state.approle === undefined) steps.push({ kind: 'approle', subject: 'approle', why: 'AppRole is not enabled' });
  else if (state.approle.maxLeaseTtlS < longestTtlS(options)) {
    steps.push({ kind: 'approle-tune', subject: 'approle', why: 'it would cut the lifetime of secret_ids' });
  } else if (state.approle.locksOut) {
    steps.push({ kind: 'approle-tune', subject: 'approle', why: 'it would lock a role out after failed logins' });
  }
  const { auditPath } = options;
  if (
    auditPath !== undefined &&
    !Object.values(state.audit).some((device) => device.options['file_path'] === auditPath)
  ) {
    steps.push({ kind: 'audit', subject: auditPath, why: 'no audit device writes there' });
  }
  return steps;
}

function roleSteps(
  role: RoleDefinition,
  options: { readonly secretIdTtlS?: number; readonly force?: boolean },
  state: BootstrapState,
): readonly BootstrapStep[] {
  const found = state.roles.get(role.role);
  const steps: BootstrapStep[] = [];
  if (options.force === true || found?.policy !== role.policy) {
    steps.push({
      kind: 'policy',
      subject: role.role,
      role,
      why: found?.policy === undefined ? 'there is none' : 'its text differs',
    });
  }
  const differs = differences(settingsOf(role, options.secretIdTtlS), found?.settings);
  if (options.force === true || differs.length > 0) {
    const why = found?.settings === undefined ? 'there is none' : `these differ: ${differs.join(', ')}`;
    steps.push({ kind: 'role', subject: role.role, role, why });
  }
  return steps;
}

function differences(wanted: Required<RoleSettings>, found: Required<RoleSettings> | undefined): readonly string[] {
  if (found === undefined) return ['everything'];
  return (Object.keys(wanted) as (keyof RoleSettings)[]).filter((key) => {
    const [left, right] = [wanted[key], found[key]];
    return Array.isArray(left) && Array.isArray(right)
      ? !sameCidrs(left as readonly string[], right as readonly string[])
      : left !== right;
  });
}

function consumerSteps(
  consumer: Consumer,
  options: Pick<BootstrapOptions, 'roles' | 'secretIdTtlS'> & { readonly force?: boolean },
  state: BootstrapState,
  now: Date,
): readonly BootstrapStep[] {
  const found = state.consumers.get(consumer.service);
  const { service: subject } = consumer;
  const steps: BootstrapStep[] = [];
  const serverRoleId = state.roles.get(consumer.role)?.roleId;
  const file = found?.files.roleId;
  if (serverRoleId === undefined || file?.state !== 'there' || file.value.reveal() !== serverRoleId) {
    steps.push({ kind: 'role-id', subject, consumer, why: fileProblem(file?.state) ?? 'it is not that of this Vault' });
  }
  const ttlS = secretIdTtlOf(
    options.roles.find(({ role }) => role === consumer.role),
    options.secretIdTtlS,
  );
  const reason = options.force === true ? 'it was asked for' : replacementReason(consumer, found, ttlS, now);
  if (reason !== undefined) steps.push({ kind: 'secret-id', subject, consumer, why: reason });
  else if (found !== undefined && found.files.issued.accessor !== found.secretId?.accessor) {
    steps.push({ kind: 'record', subject, consumer, why: 'it does not name the current secret_id' });
  }
  return steps;
}

/** Why a consumer needs a new secret_id; undefined when its own will do. */
export function replacementReason(
  consumer: Consumer,
  found: ConsumerState | undefined,
  ttlS: number,
  now: Date,
): string | undefined {
  const problem = fileProblem(found?.files.secretId.state);
  if (problem !== undefined) return problem;
  const info = found?.secretId;
  if (info === undefined) return 'Vault does not know the one in the file';
  if (!belongsTo(info.metadata, consumer)) return 'the one in the file is of another service';
  if (!sameCidrs(info.cidrs, consumer.addresses) || !sameCidrs(info.tokenCidrs, consumer.addresses)) {
    return 'it is bound to other addresses';
  }
  if (info.expirationTime === undefined) return 'it never expires';
  const leftS = (Date.parse(info.expirationTime) - now.getTime()) / 1000;
  if (leftS <= 0) return 'it has expired';
  return leftS < ttlS / 3 ? 'less than a third of its lifetime is left' : undefined;
}

function fileProblem(state: string | undefined): string | undefined {
  if (state === 'there') return undefined;
  return `the file is ${state ?? 'missing'}`;
}

export function belongsTo(metadata: Readonly<Record<string, string>>, consumer: Consumer): boolean {
  return metadata['issuer'] === issuer && metadata['service'] === consumer.service;
}

function pruneSteps(
  options: Pick<BootstrapOptions, 'consumers'>,
  state: BootstrapState,
  now: Date,
): readonly BootstrapStep[] {
  return [...state.strays].flatMap(([accessor, info]) => {
    // Somebody else's: shown by the status, not touched.
    if (info.metadata['issuer'] !== issuer) return [];
    const service = info.metadata['service'] ?? '';
    const consumer = options.consumers.find(
      (candidate) => candidate.service === service && candidate.role === info.role,
    );
    const superseded = consumer === undefined ? undefined : supersededAt(state.consumers.get(service), accessor);
    if (superseded !== undefined && now.getTime() - Date.parse(superseded) < supersededGraceMs) return [];
    const why =
      superseded !== undefined
        ? 'its replacement is delivered'
        : consumer === undefined
          ? 'no service of that name is left'
          : 'no file holds it';
    return [
      {
        kind: 'prune' as const,
        subject: `${service} ${accessor}`,
        why,
        role: info.role,
        accessor,
        ...(consumer === undefined ? {} : { consumer }),
      },
    ];
  });
}

function supersededAt(state: ConsumerState | undefined, accessor: string): string | undefined {
  return state?.files.issued.superseded.find((entry) => entry.accessor === accessor)?.at;
}
