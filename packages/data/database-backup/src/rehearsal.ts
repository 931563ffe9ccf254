import type { EngineAdapter, Fingerprint, RestoreOptions, StoredPart, ThrowawayOptions } from './types.ts';

/** An empty engine to restore parts into, gone at the end of the scope. */
export interface Rehearsal extends AsyncDisposable {
  restore(part: StoredPart, content: AsyncIterable<Uint8Array>, options?: RestoreOptions): Promise<void>;
  fingerprint(part: StoredPart, options?: RestoreOptions): Promise<Fingerprint>;
  /** Each problem is one sentence. */
  check(part: StoredPart, options?: RestoreOptions): Promise<readonly string[]>;
}

/** What can be restored for a trial without knowing what a place of that engine looks like. */
export interface Rehearser {
  /** Where it takes the parts of these services only; those of all unless given. The first of a list that takes a part gets it. */
  readonly services?: readonly string[];
  readonly engines: readonly string[];
  /** In the order in which they are restored. */
  readonly kinds: readonly string[];
  rehearse(options: ThrowawayOptions): Promise<Rehearsal>;
}

/** An adapter with its throwaway place kept inside. */
export function rehearser<P>(adapter: EngineAdapter<P>): Rehearser {
  return {
    engines: adapter.engines,
    kinds: adapter.kinds,
    rehearse: async (options) => {
      const place = await adapter.throwaway(options);
      return {
        restore: (part, content, restore) => adapter.restore(place, part, content, restore),
        fingerprint: (part, restore) => adapter.fingerprint(place, part, restore),
        check: (part, restore) => adapter.check(place, part, restore),
        [Symbol.asyncDispose]: () => place[Symbol.asyncDispose](),
      };
    },
  };
}
