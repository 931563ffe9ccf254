import { suggestion } from '@devstack-core/compose-project';
import { abortReason, DevstackError } from '@devstack-core/errors';
import { capabilities, capabilitiesIn, capabilityOf, maskOf, plainName } from './capabilities.ts';
import { CapabilityAuditErrorCode } from './errors.ts';

/** The smallest `cap_add` beside `cap_drop: [ALL]` with which a trial passed. */
export interface Advice {
  readonly capAdd: readonly string[];
  /** In the order of their trials. */
  readonly trials: readonly { readonly capAdd: readonly string[]; readonly passed: boolean }[];
  /** Candidates without which it works too. */
  readonly needless: readonly string[];
}

/** What to try with. */
export interface AdviseByTrialOptions {
  /** For messages: a service or a container. */
  readonly subject: string;
  /** What may be needed, in any spelling; `ALL` is every capability. */
  readonly candidates: readonly string[];
  /** Runs the program with these capabilities and no other, and says whether it serves. It decides how long to wait. */
  readonly trial: (capAdd: readonly string[], signal?: AbortSignal) => Promise<boolean>;
  readonly signal?: AbortSignal;
}

/**
 * Looks for the smallest set with which a trial passes, whatever a trial is: halves first, then one by one, so that nothing in the answer
 * can be taken away alone (Zeller's ddmin with single steps). The same set is tried once. Throws CAPABILITY_UNKNOWN, ADVICE_IMPOSSIBLE where
 * the trial fails even with all candidates, INTERRUPTED, and what a trial throws.
 */
export async function adviseByTrial(options: AdviseByTrialOptions): Promise<Advice> {
  const { subject, trial, signal } = options;
  for (const name of options.candidates) refuseUnknown(name);
  const candidates = capabilitiesIn(maskOf(options.candidates)).map(({ name }) => name);
  const trials: { capAdd: readonly string[]; passed: boolean }[] = [];
  const works = async (capAdd: readonly string[]): Promise<boolean> => {
    const known = trials.find((one) => one.capAdd.join() === capAdd.join());
    if (known !== undefined) return known.passed;
    const early = abortReason(signal, `the advice for ${subject}`);
    if (early !== undefined) throw early;
    const passed = await trial(capAdd, signal);
    trials.push({ capAdd, passed });
    return passed;
  };
  if (await works([])) return { capAdd: [], trials, needless: candidates };
  if (!(await works(candidates))) throw impossible(subject, candidates);
  const capAdd = await smallest(candidates, works);
  return { capAdd, trials, needless: candidates.filter((name) => !capAdd.includes(name)) };
}

// Each round tries to do without one part of what is left; where no part can go, parts are halved, down to single ones.
async function smallest(
  candidates: readonly string[],
  works: (capAdd: readonly string[]) => Promise<boolean>,
): Promise<readonly string[]> {
  let left = candidates;
  let size = Math.ceil(left.length / 2);
  while (left.length > 0) {
    let removed = false;
    for (let start = 0; start < left.length && !removed; start += size) {
      const rest = left.filter((_, index) => index < start || index >= start + size);
      if (!(await works(rest))) continue;
      left = rest;
      removed = true;
    }
    if (!removed && size === 1) return left;
    size = removed ? Math.max(1, Math.min(size, Math.ceil(left.length / 2))) : Math.ceil(size / 2);
  }
  return left;
}

function refuseUnknown(name: string): void {
  if (plainName(name) === 'ALL' || capabilityOf(name) !== undefined) return;
  const names = capabilities.map((capability) => capability.name);
  throw new DevstackError({
    code: CapabilityAuditErrorCode.capabilityUnknown,
    message: `${JSON.stringify(name)} is no capability.`,
    hint: suggestion(plainName(name), names),
    details: { capability: name, usage: true },
  });
}

function impossible(subject: string, candidates: readonly string[]): DevstackError {
  return new DevstackError({
    code: CapabilityAuditErrorCode.adviceImpossible,
    message: `${subject} does not pass the probe even with ${candidates.length === 0 ? 'what it has, which is no capability' : candidates.join(', ')}.`,
    hint: 'Check the probe on the container itself, or name more candidates. Copies may need the network of the service.',
    details: { container: subject, candidates },
  });
}
