import { isolationRules } from './isolation-rules.ts';
import { processRules } from './process-rules.ts';
import type { HardeningRule } from './rule.ts';

/** All rules of hardening, isolation first. An exception names one by its `id`. */
export const hardeningRules: readonly HardeningRule[] = [...isolationRules, ...processRules];
