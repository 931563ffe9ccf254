import type { FindingLocation } from '@devstack-core/audit-report';
import type { ContainerDetails, DockerEngine } from '@devstack-core/docker-engine';
import { DevstackError, abortReason } from '@devstack-core/errors';
import type { Ledger } from '../ledger.ts';
import type { Surface } from '../surfaces.ts';

/** How much of a volume, mount or file is read at most. What is cut is told. */
export interface AuditLimits {
  readonly fileBytes: number;
  readonly volumeBytes: number;
  /** Files and folders. */
  readonly entries: number;
}

export const defaultLimits: AuditLimits = { fileBytes: 256 * 2 ** 20, volumeBytes: 2 ** 31, entries: 200_000 };

/** What every collector gets. */
export interface CollectContext {
  readonly engine: DockerEngine;
  readonly ledger: Ledger;
  readonly procRoot: string;
  /** Whether paths and process ids of the engine are those of this machine. */
  readonly isLocal: boolean;
  readonly limits: AuditLimits;
  readonly signal: AbortSignal | undefined;
  readonly wants: (surface: Surface) => boolean;
  readonly locate: (container: ContainerDetails, surface: Surface) => FindingLocation | undefined;
}

/** Reads one or more surfaces of one container. */
export interface ContainerCollector {
  readonly surfaces: readonly Surface[];
  readonly collect: (context: CollectContext, container: ContainerDetails) => Promise<void>;
}

/** Notes that a surface of a subject could not be read. */
export function cannotCheck(context: CollectContext, surface: Surface, subject: string, why: unknown): void {
  const { ledger } = context;
  ledger.notChecked.push({ subject: ledger.mask(subject), reason: ledger.mask(`${surface}: ${reasonOf(why)}`) });
}

/** A sentence for a person. Foreign errors give their code alone. */
export function reasonOf(error: unknown): string {
  if (typeof error === 'string') return error;
  if (error instanceof DevstackError) return error.message;
  const code = error instanceof Error && 'code' in error ? String(error.code) : undefined;
  if (code !== undefined) return `it cannot be read (${code})`;
  return error instanceof Error ? `it cannot be read (${error.message})` : 'it cannot be read';
}

/** Throws when the caller's signal has ended the audit. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  const reason = abortReason(signal, 'the audit of credentials');
  if (reason !== undefined) throw reason;
}

/** A foreign error's system code. */
export function systemCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}
