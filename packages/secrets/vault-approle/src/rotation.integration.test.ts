import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDevstackError } from '@devstack-core/errors';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startStack, type TestStack } from '../test/stack.ts';
import { bootstrapVault, loginWithFiles, rotateSecretIds, type Consumer } from './index.ts';
import { readWord, writeLoginFile } from './login-files.ts';

describe('rotateSecretIds', () => {
  let stack: TestStack;
  let consumer: Consumer;
  let volumes: string;

  beforeAll(async () => {
    stack = await startStack();
    consumer = { service: 'worker', role: 'postgres', addresses: [stack.network.gateway] };
    volumes = join(stack.directory, 'volumes');
    await bootstrapVault({ ...stack.options, consumers: [...stack.consumers, consumer] });
    await deliver();
  });
  afterAll(async () => stack[Symbol.asyncDispose]());

  it('leaves no moment without a valid secret_id: no login of a loop fails', async () => {
    const logins = loginLoop();
    for (let round = 0; round < 3; round++) {
      const [report] = await rotateSecretIds({
        client: stack.root,
        consumers: [consumer],
        directory: stack.directory,
        deliver,
        graceMs: 500,
      });
      expect(report).toMatchObject({ service: 'worker', destroyed: 1 });
    }
    const { succeeded, failed } = await logins.stop();
    expect({ failed, enough: succeeded > 50 }).toEqual({ failed: 0, enough: true });
  });

  it('and the same loop sees a rotation that destroys the old one first (control)', async () => {
    const logins = loginLoop();
    const directory = join(stack.directory, 'worker');
    const old = await stack.root.lookupSecretId({
      role: 'postgres',
      secretId: await readWord(join(directory, 'secret-id')),
    });
    await stack.root.destroySecretIdAccessor({ role: 'postgres', accessor: old?.accessor ?? '' });
    await sleep(100);
    const addresses = [`${stack.network.gateway}/32`];
    const issued = await stack.root.createSecretId({
      role: 'postgres',
      cidrs: addresses,
      tokenCidrs: addresses,
      metadata: { service: 'worker', issuer: 'devstack-bootstrap' },
    });
    await writeLoginFile(directory, 'secret-id', issued.secretId);
    await deliver();
    await sleep(100);
    expect((await logins.stop()).failed).toBeGreaterThan(0);
  });

  it('keeps the old one when the new one cannot be delivered, and the next rotation cleans up', async () => {
    const broken = rotateSecretIds({
      client: stack.root, consumers: [consumer], directory: stack.directory,
      deliver: () => Promise.reject(new Error('no space left')),
    }); // prettier-ignore
    await expect(broken).rejects.toMatchObject({ code: 'SECRET_ID_NOT_DELIVERED', details: { service: 'worker' } });
    await using session = await loginWithFiles({ client: stack.anonymous, directory: join(volumes, 'worker') });
    expect(session.policies).toEqual(['postgres']);

    const [report] = await rotateSecretIds({
      client: stack.root,
      consumers: [consumer],
      directory: stack.directory,
      deliver,
      graceMs: 0,
    });
    expect(report?.destroyed).toBe(2);
  });

  it('works for the operator, who is not root, and destroys nothing without prune', async () => {
    await using session = await loginWithFiles({
      client: stack.anonymous,
      directory: join(stack.directory, 'operator'),
    });
    const reports = await rotateSecretIds({
      client: session.client,
      consumers: stack.consumers,
      directory: stack.directory,
      prune: false,
    });
    expect(reports.map((report) => report.destroyed)).toEqual(stack.consumers.map(() => 0));
    const events: string[] = [];
    await rotateSecretIds({
      client: session.client,
      consumers: stack.consumers,
      directory: stack.directory,
      graceMs: 0,
      onEvent: (event) => events.push(event.type),
    });
    for (const { role } of stack.roles) {
      const wanted =
        stack.consumers.filter((candidate) => candidate.role === role).length + (role === 'postgres' ? 1 : 0);
      expect(await stack.root.listSecretIdAccessors(role), role).toHaveLength(wanted);
    }
    expect(new Set(events)).toEqual(new Set(['superseded', 'issued', 'written', 'recorded', 'delivered', 'pruned']));
  });

  async function deliver(): Promise<void> {
    await mkdir(volumes, { recursive: true, mode: 0o700 });
    await mkdir(join(volumes, 'worker'), { recursive: true, mode: 0o700 });
    for (const name of ['role-id', 'secret-id'] as const) {
      await writeLoginFile(join(volumes, 'worker'), name, await readWord(join(stack.directory, 'worker', name)));
    }
  }

  /** Logs in again and again as a container would: it reads what was delivered, then asks Vault once. */
  function loginLoop(): { stop: () => Promise<{ succeeded: number; failed: number }> } {
    let running = true;
    let succeeded = 0;
    let failed = 0;
    const client = stack.anonymous.with({ retry: { deadlineMs: 0 } });
    const loop = async (): Promise<void> => {
      while (running) {
        const [roleId, secretId] = await Promise.all([
          readWord(join(volumes, 'worker', 'role-id')),
          readWord(join(volumes, 'worker', 'secret-id')),
        ]);
        try {
          await client.loginAppRole({ roleId, secretId });
          succeeded++;
        } catch (error) {
          if (!isDevstackError(error, 'VAULT_BAD_CREDENTIALS')) throw error;
          failed++;
        }
      }
    };
    const loops = Promise.all([loop(), loop(), loop()]);
    return {
      stop: async () => {
        running = false;
        await loops;
        return { succeeded, failed };
      },
    };
  }
});
