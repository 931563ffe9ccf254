import { join } from 'node:path';
import { secret } from '@devstack-core/redaction';
import { tuneAppRoleMount } from './approle-mount.ts';
import { defaultConcurrency, secretIdTtlOf, type BootstrapOptions, type Consumer } from './definitions.ts';
import { mapLimited } from './each.ts';
import type { BootstrapState } from './inspect.ts';
import { replaceSecretId, stillAlive, type IssueMoment } from './issue.ts';
import { writeLoginFile, writeRecord } from './login-files.ts';
import { longestTtlS, settingsOf, stepName, tracks, type BootstrapStep } from './plan.ts';

/** What happens during a bootstrap. */
export type BootstrapEvent =
  | { readonly type: 'step-started' | 'step-done'; readonly step: string; readonly why: string }
  | { readonly type: 'step-moment'; readonly step: string; readonly moment: IssueMoment };

interface ApplyOptions extends BootstrapOptions {
  readonly onEvent?: ((event: BootstrapEvent) => void) | undefined;
}

/** Does the steps of a plan, as many at once as they allow. Each can be done again after it was cut off anywhere. */
export async function applySteps(
  options: ApplyOptions,
  state: BootstrapState,
  steps: readonly BootstrapStep[],
): Promise<void> {
  const limit = options.concurrency ?? defaultConcurrency;
  // Alone and first: what follows is in the audit log, and Vault refuses requests while a device is being added.
  await mapLimited(
    steps.filter((step) => step.kind === 'audit'),
    1,
    (step) => runStep(options, state, step),
  );
  await mapLimited(tracks, tracks.length, async (phases) => {
    for (const kinds of phases) {
      const phase = steps.filter((step) => kinds.includes(step.kind));
      await mapLimited(phase, limit, (step) => runStep(options, state, step));
    }
  });
}

async function runStep(options: ApplyOptions, state: BootstrapState, step: BootstrapStep): Promise<void> {
  const name = stepName(step);
  options.onEvent?.({ type: 'step-started', step: name, why: step.why });
  await applyStep(options, state, step, (moment) => options.onEvent?.({ type: 'step-moment', step: name, moment }));
  options.onEvent?.({ type: 'step-done', step: name, why: step.why });
}

async function applyStep(
  options: BootstrapOptions,
  state: BootstrapState,
  step: BootstrapStep,
  onMoment: (moment: IssueMoment) => void,
): Promise<void> {
  const { client } = options;
  switch (step.kind) {
    case 'kv':
      await client.enableMount({
        path: 'secret',
        type: 'kv',
        options: { version: '2' },
        description: 'Secrets of the services',
      });
      // A new KV v2 mount is prepared in the background; the client waits for it on the first read.
      await client.kvRead('services');
      return;
    case 'approle':
      await client.enableAuth({ path: 'approle', type: 'approle' });
      await tuneAppRoleMount(client, longestTtlS(options));
      return;
    case 'approle-tune':
      await tuneAppRoleMount(client, Math.max(longestTtlS(options), state.approle?.maxLeaseTtlS ?? 0));
      return;
    case 'audit':
      await client.enableAudit({ path: freeName(state), type: 'file', options: { file_path: step.subject } });
      return;
    case 'policy':
      await client.writePolicy(step.role.role, step.role.policy);
      return;
    case 'role':
      await client.writeRole(step.role.role, settingsOf(step.role, options.secretIdTtlS));
      return;
    case 'role-id':
      await writeRoleId(options, state, step.consumer);
      return;
    case 'secret-id':
      await replaceSecretId({
        client,
        consumer: step.consumer,
        directory: options.directory,
        ttlS: secretIdTtlOf(
          options.roles.find(({ role }) => role === step.consumer.role),
          options.secretIdTtlS,
        ),
        current: state.consumers.get(step.consumer.service)?.secretId,
        superseded: stillAlive(recordOf(state, step.consumer), state.strays),
        now: options.now?.() ?? new Date(),
        onMoment,
      });
      return;
    case 'record': {
      const info = state.consumers.get(step.consumer.service)?.secretId;
      if (info === undefined) return;
      await writeRecord(join(options.directory, step.consumer.service), {
        accessor: info.accessor,
        ...(info.expirationTime === undefined ? {} : { expiresAt: new Date(info.expirationTime).toISOString() }),
        superseded: stillAlive(recordOf(state, step.consumer), state.strays),
      });
      return;
    }
    case 'prune':
      await client.destroySecretIdAccessor({ role: step.role, accessor: step.accessor });
  }
}

/** `file`, as everybody calls it, or the next that no other device has. */
function freeName(state: BootstrapState): string {
  for (let number = 1; ; number++) {
    const name = number === 1 ? 'file' : `file-${String(number)}`;
    if (state.audit[name] === undefined) return name;
  }
}

async function writeRoleId(options: BootstrapOptions, state: BootstrapState, consumer: Consumer): Promise<void> {
  const roleId = state.roles.get(consumer.role)?.roleId ?? (await options.client.readRoleId(consumer.role));
  // A role that was removed meanwhile: the next look at the state finds it missing and makes it anew.
  if (roleId !== undefined) await writeLoginFile(join(options.directory, consumer.service), 'role-id', secret(roleId));
}

function recordOf(
  state: BootstrapState,
  consumer: Consumer,
): { readonly superseded: readonly { accessor: string; at: string }[] } {
  return state.consumers.get(consumer.service)?.files.issued ?? { superseded: [] };
}
