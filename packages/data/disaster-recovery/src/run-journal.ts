import { openJournal, type Journal } from '@devstack-core/durable-files';
import type { Objectives } from './recovery-point.ts';
import { recoveryStepNames, type Aside, type KeptAside, type RecoverySet, type RecoveryStepName } from './types.ts';

/** What a run is about, written once, before anything is changed. */
export interface RunHead {
  readonly runId: string;
  readonly kind: 'recover' | 'drill';
  readonly set: RecoverySet;
  readonly objectives: Objectives;
  /** UTC. */
  readonly startedAt: string;
}

/** What is known of a step that is done. */
export interface StepDone {
  readonly seconds: number;
  readonly did: readonly string[];
}

/** Why a run is being rolled back. */
export interface Failure {
  readonly step: RecoveryStepName;
  readonly message: string;
}

export interface Proof {
  readonly finishedAt: string;
  readonly rtoSeconds: number;
}

/** Called before and after each line is written; for tests that kill the process there. */
export type OnJournalLine = (point: `${'before' | 'after'} ${string}`) => void | Promise<void>;

/** The journal of one recovery: what it says is on the disk before the next thing happens. */
export class RunJournal implements AsyncDisposable {
  readonly #journal: Journal;
  readonly #onLine: OnJournalLine | undefined;

  constructor(journal: Journal, onLine: OnJournalLine | undefined) {
    this.#journal = journal;
    this.#onLine = onLine;
  }

  static async open(path: string, onLine?: OnJournalLine): Promise<RunJournal> {
    return new RunJournal(await openJournal({ path }), onLine);
  }

  get head(): RunHead | undefined {
    return this.#data<RunHead>('run');
  }

  get isResumed(): boolean {
    return this.#data('resumed') !== undefined;
  }

  get failure(): Failure | undefined {
    return this.#data<Failure>('rollback');
  }

  get proof(): Proof | undefined {
    return this.#data<Proof>('proven');
  }

  start(head: RunHead): Promise<void> {
    return this.#write('run', head);
  }

  resume(): Promise<void> {
    return this.#write('resumed', true);
  }

  stepDone(step: RecoveryStepName): StepDone | undefined {
    return this.#data<StepDone>(`done ${step}`);
  }

  attempts(step: RecoveryStepName): number {
    return this.#data<number>(`attempt ${step}`) ?? 0;
  }

  /** The step that was begun and is not done. */
  get current(): RecoveryStepName | undefined {
    return recoveryStepNames.find((step) => this.attempts(step) > 0 && this.stepDone(step) === undefined);
  }

  async beginStep(step: RecoveryStepName): Promise<number> {
    const attempt = this.attempts(step) + 1;
    await this.#write(`attempt ${step}`, attempt);
    return attempt;
  }

  finishStep(step: RecoveryStepName, done: StepDone): Promise<void> {
    return this.#write(`done ${step}`, done);
  }

  /** In the order in which it was put aside. */
  aside(step?: RecoveryStepName): readonly KeptAside[] {
    const all = this.#journal.steps().filter((record) => record.step.startsWith('aside '));
    const found = all.map(({ data }) => data as KeptAside);
    return step === undefined ? found : found.filter((aside) => aside.step === step);
  }

  async keepAside(step: RecoveryStepName, aside: Aside, isComplete: boolean): Promise<KeptAside> {
    const kept: KeptAside = { ...aside, step, isComplete };
    await this.#write(`aside ${step} ${aside.id}`, kept);
    return kept;
  }

  prove(proof: Proof): Promise<void> {
    return this.#write('proven', proof);
  }

  beginRollback(failure: Failure): Promise<void> {
    return this.#write('rollback', failure);
  }

  /** Does something once: never again after it was done, again after it was cut off. */
  async once(what: string, work: () => Promise<void>): Promise<void> {
    if (this.#data(`once ${what}`) !== undefined) return;
    await work();
    await this.#write(`once ${what}`, true);
  }

  async end(): Promise<void> {
    await this.#onLine?.('before end');
    await this.#journal.reset();
    await this.#onLine?.('after end');
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#journal.close();
  }

  async #write(name: string, data: unknown): Promise<void> {
    await this.#onLine?.(`before ${name}`);
    await this.#journal.done(name, data);
    await this.#onLine?.(`after ${name}`);
  }

  #data<T>(name: string): T | undefined {
    return this.#journal.data(name) as T | undefined;
  }
}
