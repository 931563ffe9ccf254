import { DevstackError } from '@devstack-core/errors';
import { describe, expect, it } from 'vitest';
import { toDockerError, type Subject } from './docker-error.ts';

const container: Subject = { kind: 'container', name: 'web', endpoint: 'unix:///var/run/docker.sock' };
const refused = (statusCode: number, message: string): object =>
  Object.assign(new Error(message), { statusCode, json: { message } });

describe('what dockerode throws', () => {
  it.each<[string, unknown, Subject, string, RegExp]>([
    ['a missing socket', { code: 'ENOENT' }, container, 'DOCKER_UNREACHABLE', /Start it/],
    [
      'a closed port',
      { code: 'ECONNREFUSED' },
      { ...container, endpoint: 'tcp://a:1' },
      'DOCKER_UNREACHABLE',
      /address/,
    ],
    ['a socket of others', { code: 'EACCES' }, container, 'DOCKER_PERMISSION_DENIED', /usermod/],
    [
      'a missing container',
      refused(404, 'No such container: web'),
      container,
      'CONTAINER_NOT_FOUND',
      /docker container ls/,
    ],
    [
      'a missing volume',
      refused(404, 'get x: no such volume'),
      { ...container, kind: 'volume' },
      'VOLUME_NOT_FOUND',
      /docker volume ls/,
    ],
    [
      'a missing network',
      refused(404, 'network x not found'),
      { ...container, kind: 'network' },
      'NETWORK_NOT_FOUND',
      /docker network ls/,
    ],
    [
      'a missing image',
      refused(404, 'No such image: a:1'),
      { ...container, kind: 'image' },
      'IMAGE_NOT_FOUND',
      /docker pull/,
    ],
    ['a missing image of a container', refused(404, 'No such image: a:1'), container, 'IMAGE_NOT_FOUND', /a:1/],
    [
      'a name in use',
      refused(409, 'Conflict. The container name is already in use'),
      container,
      'DOCKER_CONFLICT',
      /holds it/,
    ],
    [
      'a container that ended before its exec began',
      refused(500, 'container not running - Container c is not running: Exited (137) 12 seconds ago'),
      container,
      'DOCKER_CONFLICT',
      /docker logs/,
    ],
    [
      'a port in use by a container',
      refused(500, 'driver failed: Bind for 127.0.0.1:5432 failed: port is already allocated'),
      container,
      'PORT_IN_USE',
      /5432/,
    ],
    [
      'a port in use by a program',
      refused(500, 'Error starting userland proxy: listen tcp4 0.0.0.0:80: bind: address already in use'),
      container,
      'PORT_IN_USE',
      /80/,
    ],
    ['a text', 'broken', container, 'DOCKER_REQUEST_FAILED', /log/],
    [
      'a body that is no JSON',
      { statusCode: 502, json: Buffer.from('bad gateway') },
      container,
      'DOCKER_REQUEST_FAILED',
      /log/,
    ],
    ['nothing', undefined, container, 'DOCKER_REQUEST_FAILED', /log/],
    ['an abort', { code: 'ABORT_ERR' }, container, 'INTERRUPTED', /again/],
    [
      'a failing ssh',
      new Error('ssh exited with 255: no route'),
      { ...container, endpoint: 'ssh://a' },
      'DOCKER_UNREACHABLE',
      /address/,
    ],
  ])('%s', (_, error, subject, code, hint) => {
    const mapped = toDockerError(error, subject);
    expect(mapped).toMatchObject({ code, hint: expect.stringMatching(hint) as unknown });
    expect(mapped.cause).toBeUndefined();
  });

  it('stays what it is when it is ours, and the caller’s reason comes first', () => {
    const own = new DevstackError({ code: 'OWN', message: 'own' });
    expect(toDockerError(own, container)).toBe(own);
    expect(toDockerError({ code: 'ECONNRESET' }, { ...container, signal: AbortSignal.abort(own) })).toBe(own);
  });

  it('names the engine’s own words', () => {
    expect(toDockerError({ statusCode: 502, json: Buffer.from('bad gateway') }, container).message).toContain(
      '(HTTP 502): bad gateway',
    );
  });
});
