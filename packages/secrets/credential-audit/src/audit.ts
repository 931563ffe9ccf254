import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import {
  auditReport,
  toolOf,
  type AuditReport,
  type FindingLocation,
  type NotChecked,
} from '@devstack-core/audit-report';
import type { ContainerDetails, DockerEngine } from '@devstack-core/docker-engine';
import type { Secret } from '@devstack-core/redaction';
import { scanContainers } from './audit-containers.ts';
import {
  cannotCheck,
  defaultLimits,
  throwIfAborted,
  type AuditLimits,
  type CollectContext,
} from './collect/context.ts';
import { collectHostFile, type HostFile } from './collect/host-files.ts';
import { checkIgnore, type IgnoreEntry, type IgnoredFinding } from './ignore.ts';
import { Ledger } from './ledger.ts';
import { expandNeedles, type CredentialNeedle } from './needles.ts';
import { defaultPatterns, type PatternRule } from './patterns.ts';
import type { UnsearchableNeedle } from './searchable.ts';
import { surfaces as allSurfaces, type Surface } from './surfaces.ts';

/** Which containers are looked at, stopped ones included. Without any field: all. */
export interface ContainerSelection {
  /** Compose project. */
  readonly project?: string;
  readonly labels?: Readonly<Record<string, string | true>>;
  /** Ids or names; added to those that project and labels select. */
  readonly ids?: readonly string[];
}

/** What goes on in an audit. */
export type CredentialAuditEvent =
  | { readonly type: 'prepared'; readonly needles: number; readonly patterns: number; readonly containers: number }
  | { readonly type: 'container'; readonly container: string; readonly done: number; readonly of: number }
  | { readonly type: 'gone'; readonly container: string; readonly during: string };

export interface CredentialAuditOptions {
  readonly engine: DockerEngine;
  readonly containers?: ContainerSelection;
  readonly needles: readonly CredentialNeedle[];
  /** With the same key, the same value has the same fingerprint in every report. Random unless given. */
  readonly fingerprintKey?: Secret;
  /** In place of `defaultPatterns`; `[]` for none. */
  readonly patterns?: readonly PatternRule[];
  readonly ignore?: readonly IgnoreEntry[];
  readonly files?: readonly HostFile[];
  /** `/proc` unless given. */
  readonly procRoot?: string;
  /** Whether the engine runs on this machine, as found out unless given. */
  readonly local?: boolean;
  /** All unless given. */
  readonly surfaces?: readonly Surface[];
  readonly limits?: Partial<AuditLimits>;
  /** How many containers at once; 4 unless given. */
  readonly concurrency?: number;
  /** Where a finding of a container's surface can be mended, e.g. the service's line in a compose file. */
  readonly locate?: (container: ContainerDetails, surface: Surface) => FindingLocation | undefined;
  readonly signal?: AbortSignal;
  readonly onEvent?: (event: CredentialAuditEvent) => void;
  readonly now?: () => Date;
}

/** A container that went away while it was read. */
export interface GoneContainer {
  readonly container: string;
  /** The surface that could not be read to its end. */
  readonly during: string;
}

/** An `AuditReport` with what this audit has to say beyond it. */
export interface CredentialAuditReport extends AuditReport {
  /** Values that are not searched for, and why. Those that may be secret are in `notChecked` too. */
  readonly unsearchable: readonly UnsearchableNeedle[];
  /** They are in `notChecked` too. */
  readonly gone: readonly GoneContainer[];
  /** What the ignore list took away. */
  readonly ignored: readonly IgnoredFinding[];
  /** Left out on purpose, with the reason. */
  readonly skipped: readonly NotChecked[];
  /** How many containers, images, volumes or files were read for each surface. */
  readonly coverage: readonly { readonly surface: Surface; readonly checked: number }[];
  readonly searched: { readonly bytes: number; readonly values: number; readonly patterns: number };
}

/**
 * Looks for the values of secrets, in every encoding, wherever containers show them. Nothing is changed. Findings are values; what could
 * not be read is in `notChecked`. Throws AUDIT_INPUT_INVALID, INTERRUPTED and the engine's DOCKER_UNREACHABLE.
 */
export async function auditCredentials(options: CredentialAuditOptions): Promise<CredentialAuditReport> {
  const { engine, signal, ignore = [] } = options;
  throwIfAborted(signal);
  checkIgnore(ignore);
  const startedAt = options.now?.() ?? new Date();
  const { needles, unsearchable } = expandNeedles(options.needles);
  const fingerprintKey = options.fingerprintKey?.reveal() ?? randomBytes(32).toString('hex');
  const ledger = new Ledger({ needles, patterns: options.patterns ?? defaultPatterns, ignore, fingerprintKey });
  const wanted = new Set(options.surfaces ?? allSurfaces);
  const context: CollectContext = {
    engine,
    ledger,
    signal,
    procRoot: options.procRoot ?? '/proc',
    isLocal: options.local ?? (await isLocal(engine)),
    limits: { ...defaultLimits, ...options.limits },
    wants: (surface) => wanted.has(surface),
    locate: options.locate ?? (() => undefined),
  };
  for (const { label, field, reason } of unsearchable.filter(({ mayBeSecret }) => mayBeSecret))
    ledger.notChecked.push({ subject: [label, field].filter(Boolean).join(' '), reason: `not searchable: ${reason}` });
  const gone = await scanContainers(context, options);
  for (const file of options.files ?? []) await collectHostFile(context, file);
  for (const { container, during } of gone)
    cannotCheck(context, during as Surface, container, 'the container went away during the audit');
  const findings = ledger.findings();
  const { notChecked, checkedCount } = ledger;
  return {
    ...auditReport({
      tool: toolOf('credential-audit', import.meta.url),
      startedAt,
      findings,
      notChecked,
      checkedCount,
    }),
    unsearchable,
    gone: gone.map(({ container, during }) => ({ container: ledger.mask(container), during })),
    ignored: ledger.ignored,
    skipped: ledger.skipped.map(({ subject, reason }) => ({ subject: ledger.mask(subject), reason })),
    coverage: ledger.coverage,
    searched: {
      bytes: ledger.bytes,
      values: options.needles.length - unsearchable.length,
      patterns: ledger.searcher.patternCount,
    },
  };
}

// An engine behind a local socket can still run in a virtual machine: that has another name.
async function isLocal(engine: DockerEngine): Promise<boolean> {
  if (!engine.endpoint.startsWith('unix:')) return false;
  return (await engine.info()).name === hostname();
}
