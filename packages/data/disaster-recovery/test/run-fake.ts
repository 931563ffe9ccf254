import { join } from 'node:path';
// Not the whole package: a process of its own is started for every kill.
import type { Candidate, OnRecoveryEvent, RecoveryReport } from '../src/index.ts';
import { recover } from '../src/recover.ts';
import { fakeSource, fakeWorld, type Tick } from './fake-world.ts';

export interface FakeRun {
  /** Holds the world and, beside it, the journal and the history. */
  readonly folder: string;
  readonly tick?: Tick;
  readonly failing?: string | undefined;
  readonly resume?: boolean;
  readonly backup?: string;
  readonly sets?: readonly Candidate[];
  readonly onEvent?: OnRecoveryEvent;
  readonly ended?: Map<string, number>;
}

/** A recovery of the fake world; every change of the world and every line of the journal is a tick. */
export async function runFake(options: FakeRun): Promise<RecoveryReport> {
  const { folder, tick = () => undefined, failing } = options;
  const world = fakeWorld({ root: join(folder, 'world'), tick, failing });
  try {
    return await recover({
      source: fakeSource(options.sets),
      steps: world.steps,
      directory: join(folder, 'state'),
      historyFile: join(folder, 'state', 'history.jsonl'),
      backup: options.backup,
      resume: options.resume,
      confirm: () => Promise.resolve(true),
      onJournalLine: (point) => tick(`journal: ${point}`),
      onEvent: options.onEvent,
      now: () => new Date('2026-11-20T10:00:00Z'),
    });
  } finally {
    for (const [step, times] of world.ended) options.ended?.set(step, (options.ended.get(step) ?? 0) + times);
  }
}
