import type { Severity } from '@devstack-core/audit-report';
import type { Observation } from './observe.ts';

/** Something wrong with how a container is set up. */
export interface Breach {
  readonly message: string;
  /** The rule's own unless given. */
  readonly severity?: Severity;
  /** Tells breaches of one rule in one container apart. */
  readonly key?: string;
}

/** A rule of hardening, looked at on the container that runs. */
export interface HardeningRule {
  readonly id: string;
  readonly area: 'isolation' | 'hardening';
  readonly severity: Severity;
  readonly title: string;
  readonly remediation: string;
  /** The field of the compose file where it is mended. */
  readonly field: string;
  readonly check: (observed: Observation) => readonly Breach[];
}
