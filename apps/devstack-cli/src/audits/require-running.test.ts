import { DevstackError, exitCodeFor } from '@devstack-core/errors';
import type { Stack } from '@devstack-core/stack-lifecycle';
import { describe, expect, test } from 'vitest';
import { requireContainers, requireRunning, requireTls } from './require-running.ts';

function stackWith(containers: readonly { service: string; state: string }[] | DevstackError): Stack {
  const service = (name: string): object => {
    if (!['web', 'db'].includes(name))
      throw new DevstackError({ code: 'UNKNOWN_SERVICE', message: name, details: { usage: true } });
    return { name };
  };
  const listContainers = () => Promise.resolve(containers);
  const engine = () => (containers instanceof Error ? Promise.reject(containers) : Promise.resolve({ listContainers }));
  return { model: { service }, project: { id: 'mine' }, engine } as unknown as Stack;
}

describe('what has to run', () => {
  const up = stackWith([
    { service: 'web', state: 'running' },
    { service: 'db', state: 'exited' },
  ]);

  test('is there', async () => {
    await requireRunning(up);
    await requireRunning(up, ['web']);
    await requireRunning(up, ['db', 'web']);
    expect(await requireContainers(up)).toHaveLength(2);
  });

  test.each([
    ['never brought up', stackWith([]), [], /No container of this stack \(mine\)/, 'devstack up'],
    [
      'stopped',
      stackWith([{ service: 'web', state: 'exited' }]),
      [],
      /Nothing of this stack \(mine\) runs/,
      'devstack up',
    ],
    ['without the service', up, ['db'], /^db does not run/, 'devstack up db'],
    [
      'without the services',
      stackWith([{ service: 'web', state: 'paused' }]),
      ['web', 'db'],
      /^web, db do not run/,
      'devstack up web db',
    ],
  ] as const)('%s: one error with the next step', async (_name, stack, services, message, hint) => {
    const error: unknown = await requireRunning(stack, services).catch((caught: unknown) => caught);
    expect(error).toMatchObject({
      code: 'STACK_NOT_RUNNING',
      message: expect.stringMatching(message) as string,
      hint: `Bring it up first: ${hint}`,
    });
    expect(exitCodeFor(error)).toBe(1);
  });

  test('a name that is none is a usage error, whatever runs', async () => {
    const error: unknown = await requireRunning(stackWith([]), ['wbe']).catch((caught: unknown) => caught);
    expect(exitCodeFor(error)).toBe(2);
  });

  test('what is about certificates needs TLS, whatever runs', async () => {
    const model = (mode: string) => {
      const service = { environment: { DEVSTACK_TLS: mode } };
      return { services: [service], service: () => service };
    };
    const plain = { ...up, model: model('false') } as unknown as Stack;
    await expect(requireTls(plain)).rejects.toMatchObject({ code: 'TLS_OFF' });
    await expect(requireTls(plain, ['web'])).rejects.toMatchObject({ message: 'Without TLS: web.' });
    await requireTls({ ...up, model: model('true') } as unknown as Stack, ['web']);
  });

  test('a Docker that does not answer is what is told', async () => {
    const away = stackWith(new DevstackError({ code: 'DOCKER_UNREACHABLE', message: 'away' }));
    await expect(requireRunning(away)).rejects.toMatchObject({ code: 'DOCKER_UNREACHABLE' });
  });
});
