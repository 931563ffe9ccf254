import { randomBytes } from 'node:crypto';
import { DevstackError } from '@devstack-core/errors';
import type { DockerEngine } from '@devstack-core/docker-engine';
import { Secret } from '@devstack-core/redaction';
import { auditCredentials, type CredentialAuditOptions, type CredentialAuditReport } from './audit.ts';
import { reasonOf, throwIfAborted } from './collect/context.ts';
import { CredentialAuditErrorCode } from './errors.ts';
import { Plants, removeLeftovers, selfTestLabel } from './self-test-plants.ts';
import { surfaceRules, surfaces, type Surface } from './surfaces.ts';

export interface SelfTestOptions {
  readonly engine: DockerEngine;
  /** Any image with `sh`, `sleep` and `cat`; it must be there. */
  readonly image: string;
  readonly procRoot?: string;
  readonly local?: boolean;
  /** How long the planted container may take to show everything; 30,000 unless given. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** Whether the canary of a surface was found there. */
export interface SelfTestSurface {
  readonly surface: Surface;
  readonly planted: boolean;
  readonly found: boolean;
  /** Why not, for a person. */
  readonly reason?: string;
}

export interface SelfTestResult {
  /** Every surface's canary was planted, and found on that surface. */
  readonly passed: boolean;
  readonly surfaces: readonly SelfTestSurface[];
  /** What the audit said of the canaries: none of their values is in it. */
  readonly report: CredentialAuditReport;
}

/**
 * Plants a different canary on every surface, by a container, an image, a volume and a folder of its own, and looks for all with the
 * audit itself. Everything is removed afterwards, on failure too; what a killed run left behind is removed by the next one. Throws
 * SELF_TEST_NOT_REMOVED, INTERRUPTED and the engine's codes.
 */
export async function selfTest(options: SelfTestOptions): Promise<SelfTestResult> {
  const { engine, signal } = options;
  throwIfAborted(signal);
  await removeLeftovers(engine);
  const canaries = new Map(surfaces.map((surface) => [surface, `canary-${randomBytes(15).toString('base64url')}`]));
  const plants = new Plants(options, canaries);
  const tested = await test(options, plants, canaries).then(
    (result) => ({ result }),
    (error: unknown) => ({ error }),
  );
  const left = await plants.remove();
  if ('error' in tested) throw tested.error;
  if (left.length > 0) throw notRemoved(left);
  return tested.result;
}

async function test(
  options: SelfTestOptions,
  plants: Plants,
  canaries: ReadonlyMap<Surface, string>,
): Promise<SelfTestResult> {
  await plants.plant();
  const report = await auditCredentials(auditOptions(options, plants, canaries));
  const results = surfaces.map((surface) => judge(surface, plants, report));
  return { passed: results.every(({ found }) => found), surfaces: results, report };
}

function auditOptions(
  { engine, procRoot, local, signal }: SelfTestOptions,
  plants: Plants,
  canaries: ReadonlyMap<Surface, string>,
): CredentialAuditOptions {
  return {
    engine,
    containers: { ids: plants.containers },
    needles: [...canaries].map(([surface, value]) => ({ value: new Secret(value), label: `canary/${surface}` })),
    patterns: [],
    files: plants.files,
    ...(procRoot === undefined ? {} : { procRoot }),
    ...(local === undefined ? {} : { local }),
    ...(signal === undefined ? {} : { signal }),
  };
}

function judge(surface: Surface, plants: Plants, report: CredentialAuditReport): SelfTestSurface {
  const fault = plants.faults.get(surface);
  if (fault !== undefined) return { surface, planted: false, found: false, reason: reasonOf(fault) };
  const found = report.findings.some(
    ({ ruleId, message }) =>
      ruleId === surfaceRules[surface].ruleId && message.startsWith(`The value of canary/${surface} `),
  );
  if (found) return { surface, planted: true, found };
  const unread = report.notChecked.find(({ reason }) => reason.startsWith(`${surface}: `));
  return { surface, planted: true, found, reason: unread?.reason ?? 'the canary was planted, but not found' };
}

function notRemoved(left: readonly string[]): DevstackError {
  return new DevstackError({
    code: CredentialAuditErrorCode.selfTestNotRemoved,
    message: `The self-test could not remove what it had planted: ${left.join(', ')}.`,
    hint: `Nothing of it is a real secret. Remove what has the label ${selfTestLabel}.`,
    details: { left },
  });
}
