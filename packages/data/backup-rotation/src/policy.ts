import { DevstackError } from '@devstack-core/errors';
import { BackupRotationErrorCode } from './errors.ts';

/** How many to keep by each rule; a set stays when any rule wants it. A rule that is left out keeps none. */
export interface RotationPolicy {
  /** The newest backup of each of the last so many days that have one. */
  readonly daily?: number;
  /** One backup of each of the last so many ISO weeks: Sunday's, or the last before it. */
  readonly weekly?: number;
  /** One backup of each of the last so many months: that of the 1st, or the first after it. */
  readonly monthly?: number;
  /** The newest so many, whatever their dates. */
  readonly keepLast?: number;
}

/** 7 daily, 4 weekly, 12 monthly. */
export const defaultPolicy: RotationPolicy = { daily: 7, weekly: 4, monthly: 12 };

/** The newest 10: for plain sets of one database. */
export const keepLastPolicy: RotationPolicy = { keepLast: 10 };

/** The policy with every rule as a number. Throws `ROTATION_POLICY_INVALID` for a negative or broken number, an unknown rule, and for all zero. */
export function checkedPolicy(policy: RotationPolicy): Required<RotationPolicy> {
  const whole = { ...nothing, ...definedOf(policy) };
  for (const [rule, count] of Object.entries(whole)) {
    if (!(rule in nothing))
      throw invalid(`There is no rule '${rule}'`, `Rules are ${Object.keys(nothing).join(', ')}.`, rule);
    if (!Number.isSafeInteger(count) || count < 0)
      throw invalid(`The rule ${rule} is ${String(count)}`, 'Give a whole number, 0 or more.', rule);
  }
  if (Object.values(whole).every((count) => count === 0))
    throw invalid('The policy keeps nothing', 'Give at least one rule a number above 0.', undefined);
  return whole;
}

const nothing: Required<RotationPolicy> = { daily: 0, weekly: 0, monthly: 0, keepLast: 0 };

function definedOf(policy: RotationPolicy): RotationPolicy {
  return Object.fromEntries(Object.entries(policy).filter(([, count]) => count !== undefined));
}

function invalid(what: string, hint: string, rule: string | undefined): DevstackError {
  return new DevstackError({
    code: BackupRotationErrorCode.policyInvalid,
    message: `${what}: the rotation policy cannot be used.`,
    hint,
    details: { usage: true, ...(rule === undefined ? {} : { rule }) },
  });
}
