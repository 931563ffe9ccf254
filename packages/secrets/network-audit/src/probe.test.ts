import type { ContainerDetails, DockerEngine } from '@devstack-core/docker-engine';
import { DevstackError } from '@devstack-core/errors';
import { describe, expect, it } from 'vitest';
import { membersOf } from './index.ts';
import { probeFrom } from './probe.ts';

const gone = (id: string): DevstackError => new DevstackError({ code: 'CONTAINER_NOT_FOUND', message: id });
const container = { id: 'c'.repeat(64), name: 'web', state: { pid: 0 } } as unknown as ContainerDetails;
const job = { targets: [['10.0.0.1', 80]], names: ['db'], timeoutMs: 10 } as const;

/** A probe by a program of the container that prints this. */
function printing(stdout: string, exitCode = 0, stderr = ''): ReturnType<typeof probeFrom> {
  const exec: DockerEngine['exec'] = () => Promise.resolve({ exitCode, stdout, stderr });
  const engine = { exec, runEphemeral: () => Promise.reject(new Error('not asked')) };
  return probeFrom(container, job, { engine, probe: 'exec', procRoot: '/nowhere' });
}

describe('what a program of the container prints', () => {
  it('is believed where it is an answer', async () => {
    for (const names of [[['10.0.0.2']], ['ENOTFOUND']])
      expect(await printing(JSON.stringify({ targets: ['open'], names }))).toEqual({
        method: 'exec',
        answer: { targets: ['open'], names },
      });
  });

  it.each([
    ['nothing', '', 'no answer'],
    ['a secret', 'hunter2-is-the-password', 'no answer'],
    ['null', 'null', 'half an answer'],
    ['other things', '{"targets":[{"open":true}],"names":["x"]}', 'half an answer'],
    ['names that are none', '{"targets":["open"],"names":[{"filter":1}]}', 'half an answer'],
    ['too little', '{"targets":[],"names":["x"]}', 'half an answer'],
    ['no lists', '{"targets":"o","names":"x"}', 'half an answer'],
  ])('is a probe that failed where it is %s', async (_name, stdout, reason) => {
    const result = await printing(stdout);
    expect(result).toEqual({ failed: expect.stringContaining(reason) as string });
    expect(JSON.stringify(result)).not.toContain('hunter2');
  });

  it('is told by its last line where it fails', async () => {
    expect(await printing('', 127, 'sh: 1\nnode: not found\n')).toEqual({ failed: 'exec: node: not found' });
  });
});

describe('the members of a project', () => {
  it('are told where they go away between the list and the look', async () => {
    const rows = ['here', 'gone'].map((name) => ({ id: name, name: `p-${name}-1`, service: name }));
    const here = {
      id: 'here',
      name: 'p-here-1',
      service: 'here',
      state: { running: true, status: 'running', exitCode: 0 },
      networks: { n: { ip: '10.0.0.1', networkId: 'n' } },
      ports: [],
      raw: {},
    };
    const engine = {
      listContainers: () => Promise.resolve(rows),
      inspectContainer: (id: string) => (id === 'here' ? Promise.resolve(here) : Promise.reject(gone(id))),
    } as unknown as DockerEngine;
    const members = await membersOf(engine, 'p');
    expect(members.map(({ service, notRunning }) => [service, notRunning])).toEqual([
      ['gone', 'it went away meanwhile'],
      ['here', undefined],
    ]);
    const down = new DevstackError({ code: 'DOCKER_UNREACHABLE', message: 'down' });
    await expect(membersOf({ ...engine, inspectContainer: () => Promise.reject(down) }, 'p')).rejects.toBe(down);
  });
});
