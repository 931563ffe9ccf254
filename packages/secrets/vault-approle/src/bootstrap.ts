import { ensurePrivateDirectory } from '@devstack-core/durable-files';
import { DevstackError } from '@devstack-core/errors';
import { applySteps, type BootstrapEvent } from './apply.ts';
import { checkInput } from './check-input.ts';
import type { BootstrapOptions } from './definitions.ts';
import { VaultAppRoleErrorCode } from './errors.ts';
import { inspect, type BootstrapState } from './inspect.ts';
import { allStepNames, planBootstrap, stepName } from './plan.ts';

/** What a bootstrap did. */
export interface BootstrapReport {
  /** `policy postgres`, `secret-id redis-2`, …: what was made or changed. */
  readonly changed: readonly string[];
  /** What was as it should be. */
  readonly unchanged: readonly string[];
  readonly consumers: readonly {
    readonly service: string;
    readonly role: string;
    /** ISO 8601. */
    readonly secretIdExpiresAt: string;
    /** Whether the secret_id was there before. */
    readonly reused: boolean;
  }[];
}

/** Something in Vault or in the files that is not as declared. */
export interface BootstrapProblem {
  /** `role postgres`: the step that would mend it. */
  readonly step: string;
  readonly message: string;
}

const rounds = 3;

/**
 * Brings Vault and the login files to what the options declare: KV v2, AppRole, a policy and a role each, a role-id and a secret_id file for
 * each consumer. Writes only what differs, then looks again until nothing does, so its result is validated. It can be repeated, and goes on
 * where it was killed. Throws `BOOTSTRAP_INPUT_INVALID` before it does anything, `BOOTSTRAP_NOT_CONVERGED`, and what the client throws.
 */
export async function bootstrapVault(
  options: BootstrapOptions & { readonly force?: boolean; readonly onEvent?: (event: BootstrapEvent) => void },
): Promise<BootstrapReport> {
  checkInput(options);
  await ensurePrivateDirectory(options.directory);
  const { force = false, ...declared } = options;
  const now = (): Date => options.now?.() ?? new Date();
  const changed = new Set<string>();
  let state = await inspect(options);
  let steps = planBootstrap({ ...declared, force }, state, now());
  for (let round = 1; steps.length > 0; round++) {
    if (round > rounds) throw notConverged(steps.map(stepName));
    await applySteps(options, state, steps);
    for (const step of steps) changed.add(stepName(step));
    state = await inspect(options);
    steps = planBootstrap(declared, state, now());
  }
  return {
    changed: [...changed],
    unchanged: allStepNames(options).filter((name) => !changed.has(name)),
    consumers: consumersOf(options, state, changed),
  };
}

/** What differs from the declared state, without changing it; nothing when all is well. */
export async function validateBootstrap(options: BootstrapOptions): Promise<readonly BootstrapProblem[]> {
  checkInput(options);
  const state = await inspect(options);
  return planBootstrap(options, state, options.now?.() ?? new Date()).map((step) => ({
    step: stepName(step),
    message: `${stepName(step)}: ${step.why}`,
  }));
}

function consumersOf(
  options: BootstrapOptions,
  state: BootstrapState,
  changed: ReadonlySet<string>,
): BootstrapReport['consumers'] {
  return options.consumers.map(({ service, role }) => {
    const expires = state.consumers.get(service)?.secretId?.expirationTime;
    return {
      service,
      role,
      secretIdExpiresAt: expires === undefined ? '' : new Date(expires).toISOString(),
      reused: !changed.has(`secret-id ${service}`),
    };
  });
}

function notConverged(steps: readonly string[]): DevstackError {
  return new DevstackError({
    code: VaultAppRoleErrorCode.notConverged,
    message: `Vault does not stay as it was set: ${steps.slice(0, 5).join(', ')}${steps.length > 5 ? ', …' : ''} differ again.`,
    hint: 'Something else changes the same Vault or the same files. Stop it, then run the bootstrap again.',
    details: { steps },
  });
}
