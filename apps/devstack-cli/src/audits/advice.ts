import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { adviseByTrial, capabilities, type Advice } from '@devstack-core/capability-audit';
import { isDevstackError } from '@devstack-core/errors';
import { up, type Stack } from '@devstack-core/stack-lifecycle';
import type { Context } from '../context.ts';

/** What is tried, and how long a start may take. */
export interface AdviceOptions {
  readonly service: string;
  /** Beside what it is given now. */
  readonly candidates: readonly string[];
  readonly timeoutMs: number;
  /** Brings the service up, healthy by its own protocol; stand-in for tests. */
  readonly bringUp?: typeof up;
}

/** What a service was given, and what it needs of that. */
export interface ServiceAdvice extends Advice {
  readonly service: string;
  /** Its `cap_add` in the compose files. */
  readonly declared: readonly string[];
}

// What a start says that may be for want of a capability; anything else says nothing about capabilities.
const mayBeForWant = ['NOT_HEALTHY', 'VAULT_NOT_READY', 'SERVICE_UNHEALTHY', 'COMPOSE_FAILED'];

/**
 * The smallest `cap_add` with which a service of the stack becomes healthy, found by restarting it again and again, with `cap_drop: [ALL]`
 * and its own data. It is put back as it is declared whatever happens. Throws CAPABILITY_UNKNOWN, ADVICE_IMPOSSIBLE, INTERRUPTED, and what
 * `up` throws for another reason than that the service did not become healthy.
 */
export async function adviceOn(stack: Stack, context: Context, options: AdviceOptions): Promise<ServiceAdvice> {
  const { service, timeoutMs, bringUp = up } = options;
  const { signal, onEvent } = context;
  const declared = stack.model.service(service).capabilitiesAdded;
  const folder = await mkdtemp(join(tmpdir(), 'devstack-advice-'));
  const overlay = join(folder, 'capabilities.yaml');
  // Every trial goes all the way of `up`: only which one it is, is news.
  const start = { services: [service], deadlineMs: timeoutMs };
  const say = (text: string): void => {
    onEvent({ type: 'progress', step: 'advice', text });
  };
  const trial = async (capAdd: readonly string[]): Promise<boolean> => {
    say(`${service} with ${capAdd.join(' ') || 'no capability'}`);
    await writeFile(overlay, overlayOf(service, capAdd));
    try {
      await bringUp({ ...stack, compose: stack.compose.withOverlay(overlay) }, { ...start, signal });
      return true;
    } catch (error) {
      if (!signal.aborted && isDevstackError(error) && mayBeForWant.includes(error.code)) return false;
      throw error;
    }
  };
  try {
    const candidates = [...declared, ...options.candidates];
    const advice = await adviseByTrial({ subject: service, candidates, trial, signal });
    return { service, declared, ...advice };
  } finally {
    await rm(folder, { recursive: true, force: true });
    say(`${service} as it is declared`);
    // Not with the caller's signal: an interrupt ends the trials, not the way back.
    await bringUp(stack, start);
  }
}

/** Laid over the compose files for one trial: nothing but the capabilities is another. */
function overlayOf(service: string, capAdd: readonly string[]): string {
  const added = capAdd.length === 0 ? '!reset []' : `!override [${capAdd.join(', ')}]`;
  return `services:\n  ${JSON.stringify(service)}:\n    cap_drop: !override [ALL]\n    cap_add: ${added}\n`;
}

/** The advice for a person: what to write, and what each of it allows. */
export function adviceText({ service, declared, capAdd, needless, trials }: ServiceAdvice): string {
  const grants = capAdd.map((name) => {
    const found = capabilities.find((one) => one.name === name);
    return `  ${name} (${found?.level ?? 'high'}): ${found?.grants ?? 'unknown'}`;
  });
  const isAsDeclared = declared.length === capAdd.length && needless.length === 0;
  return [
    `${service} was healthy with ${capAdd.length === 0 ? 'no capability at all' : `these and no fewer`}, after ${String(trials.length)} ${trials.length === 1 ? 'try' : 'tries'}.`,
    ...grants,
    ...(needless.length === 0 ? [] : [`It did without ${needless.join(', ')}.`]),
    isAsDeclared
      ? 'The compose files say the same.'
      : `Write: cap_drop: [ALL]${capAdd.length === 0 ? ', and no cap_add' : `, cap_add: [${capAdd.join(', ')}]`}`,
    'Healthy means that it answers by its own protocol: what it does seldom was not tried. It is up again as it is declared.',
    '',
  ].join('\n');
}
