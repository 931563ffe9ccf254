/** The steps of a recovery, in their order. */
export const recoveryStepNames = [
  'backup',
  'engine',
  'configuration',
  'vault',
  'services',
  'databases',
  'proof',
] as const;

export type RecoveryStepName = (typeof recoveryStepNames)[number];

/** A backup set, as far as a recovery has to know it. */
export interface RecoverySet {
  readonly id: string;
  /** SHA-256 of its manifest: the same id with another manifest is another set. */
  readonly manifestSha256: string;
  /** Rises with every set of a catalog, whatever the clock says. */
  readonly sequence: number;
  /** UTC. */
  readonly createdAt: string;
  readonly kind: 'full' | 'incremental';
  readonly encrypted: boolean;
  /** Of all artifacts, before compression. */
  readonly sizeBytes: number;
  /** The moment of each part; a service may be there several times. */
  readonly snapshots: readonly ServiceSnapshot[];
}

export interface ServiceSnapshot {
  readonly service: string;
  /** UTC. */
  readonly snapshotAt: string;
}

/** Something that a step takes out of the way of what it makes. Nothing in it is secret: it goes into the journal. */
export interface Aside {
  /** Unique in its step, e.g. `volume postgres-data`. */
  readonly id: string;
  /** For people: what it is. */
  readonly what: string;
  /** Where it is kept. Missing where there was nothing: putting it back means to remove what the step made. */
  readonly keptAt?: string;
  readonly data?: Readonly<Record<string, string | number | boolean>>;
}

export interface KeptAside extends Aside {
  readonly step: RecoveryStepName;
  /**
   * False when the run was cut off while it was being put aside: it is where it was, or aside as a whole, or a copy of it is half made.
   * The original is untouched then.
   */
  readonly isComplete: boolean;
}

/** What a step gets. */
export interface StepContext {
  readonly set: RecoverySet;
  /** 1, and more when an earlier attempt was cut off: what it left may be there. */
  readonly attempt: number;
  readonly signal: AbortSignal | undefined;
  /** What this step has put aside so far, in earlier attempts, too. */
  readonly aside: readonly KeptAside[];
  /**
   * To be called before anything is replaced: writes into the journal that it will be put aside, then has `move` do it, then writes that it
   * is done. What an earlier attempt has put aside stays, and `move` is not called; nor is it where there was nothing (no `keptAt`). `move`
   * must be a rename or a copy that begins anew: after a kill it is called again, with what the first attempt said. Only when this has
   * resolved may the original be touched.
   */
  keepAside(aside: Aside, move: (aside: Aside) => Promise<void>): Promise<void>;
  /** Progress, for people. */
  report(message: string): void;
}

/** What a step did. */
export interface StepOutcome {
  /** One line each, never empty: a step that did nothing says what it found. */
  readonly did: readonly string[];
}

/**
 * One step, which the caller knows how to do. Killed at any point, `run` is called again with the next attempt and must come to the same
 * end; a step that is done is never called again.
 */
export interface RecoveryStep {
  /** What it would do, one line each. Changes nothing. */
  describe?(set: RecoverySet): Promise<readonly string[]>;
  /** Why it would fail, one line each. Changes nothing. */
  preflight?(set: RecoverySet, signal?: AbortSignal): Promise<readonly string[]>;
  run(context: StepContext): Promise<StepOutcome>;
  /** Takes back what is not covered by what was put aside, e.g. stops what it started. May be called again, and for a step that was cut off. */
  undo?(set: RecoverySet): Promise<void>;
  /** Puts one thing back in place of what the step made. May be called again, also when it is back already. */
  putBack?(aside: KeptAside): Promise<void>;
  /** Removes what was kept, when the new is proven. May be called again. */
  discard?(aside: KeptAside): Promise<void>;
}

/** The steps after the first, which this package does itself. `proof` throws when anything is not as the set says. */
export type RecoverySteps = Readonly<Record<Exclude<RecoveryStepName, 'backup'>, RecoveryStep>>;

/** What happens, as it happens. */
export type RecoveryEvent =
  | { readonly type: 'candidate'; readonly id: string; readonly isUsed: boolean; readonly reason: string }
  | {
      readonly type: 'step-started';
      readonly step: RecoveryStepName;
      readonly attempt: number;
      readonly estimateSeconds: number;
    }
  | { readonly type: 'step-progress'; readonly step: RecoveryStepName; readonly message: string }
  | {
      readonly type: 'step-finished';
      readonly step: RecoveryStepName;
      readonly seconds: number;
      readonly did: readonly string[];
    }
  | { readonly type: 'step-skipped'; readonly step: RecoveryStepName; readonly reason: 'done in an earlier run' }
  | { readonly type: 'step-failed'; readonly step: RecoveryStepName; readonly message: string }
  | { readonly type: 'kept-aside'; readonly aside: KeptAside }
  | { readonly type: 'put-back'; readonly aside: KeptAside }
  | { readonly type: 'undone'; readonly step: RecoveryStepName }
  | { readonly type: 'proven' }
  | { readonly type: 'discarded'; readonly aside: KeptAside };

export type OnRecoveryEvent = (event: RecoveryEvent) => void;
