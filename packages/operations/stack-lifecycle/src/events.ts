/** What long work tells while it runs. A terminal, NDJSON and a page render the same events. */
export type StackEvent =
  | {
      readonly type: 'plan';
      readonly profile: string;
      readonly services: readonly PlannedService[];
      readonly resumedAfter: string | null;
    }
  | { readonly type: 'step-started'; readonly step: string; readonly title: string }
  | {
      readonly type: 'step-done';
      readonly step: string;
      readonly title: string;
      readonly changed: boolean;
      readonly detail: string;
      readonly durationMs: number;
    }
  | { readonly type: 'progress'; readonly step: string; readonly text: string }
  | {
      readonly type: 'waiting';
      readonly step: string;
      readonly for: readonly string[];
      readonly elapsedMs: number;
      readonly deadlineMs: number;
    }
  | { readonly type: 'service-healthy'; readonly service: string; readonly elapsedMs: number }
  | { readonly type: 'warning'; readonly code: string; readonly text: string; readonly hint: string };

/** One line of a plan: what will happen to a service, and why. */
export interface PlannedService {
  readonly service: string;
  readonly action: 'create' | 'recreate' | 'start' | 'keep';
  readonly reason: string;
}

/** Receives events as they happen; it must not throw. */
export type OnEvent = (event: StackEvent) => void;
