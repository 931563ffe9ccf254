import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connectDocker, resolveEndpoint, type EndpointOptions } from './index.ts';
import { openConnection } from './connection.ts';
import { sshArguments } from './ssh-agent.ts';

let configDir: string;

async function context(name: string, meta: string): Promise<void> {
  const folder = join(configDir, 'contexts', 'meta', createHash('sha256').update(name).digest('hex'));
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'meta.json'), meta);
}

function meta(name: string, endpoint: Readonly<Record<string, unknown>>): string {
  return JSON.stringify({ Name: name, Metadata: {}, Endpoints: { docker: endpoint } });
}

beforeAll(async () => {
  configDir = await mkdtemp(join(tmpdir(), 'de-contexts-'));
  await context('colima', meta('colima', { Host: 'unix:///home/me/.colima/docker.sock' }));
  await context('far', meta('far', { Host: 'ssh://me@far.example' }));
  await context('tls', meta('tls', { Host: 'tcp://far.example:2376' }));
  await context('loose', meta('loose', { Host: 'tcp://far.example:2376', SkipTLSVerify: true }));
  await context('empty', meta('empty', {}));
  await context('broken', '{');
  const id = createHash('sha256').update('tls').digest('hex');
  await mkdir(join(configDir, 'contexts', 'tls', id, 'docker'), { recursive: true });
  for (const name of ['ca', 'cert', 'key'])
    await writeFile(join(configDir, 'contexts', 'tls', id, 'docker', `${name}.pem`), name);
  await writeFile(join(configDir, 'ca.pem'), 'own ca');
  await writeFile(join(configDir, 'config.json'), JSON.stringify({ currentContext: 'colima' }));
});

afterAll(() => rm(configDir, { recursive: true }));

describe('the engine is found as the docker client finds it', () => {
  it.each<[string, EndpointOptions, unknown]>([
    [
      'an explicit host wins',
      { host: 'tcp://a:1', context: 'far', env: { DOCKER_HOST: 'tcp://b:1' } },
      { address: 'tcp://a:1' },
    ],
    [
      'then an explicit context',
      { context: 'far', env: { DOCKER_HOST: 'tcp://b:1' } },
      { address: 'ssh://me@far.example', context: 'far' },
    ],
    ['then DOCKER_HOST', { env: { DOCKER_HOST: 'tcp://b:1', DOCKER_CONTEXT: 'far' } }, { address: 'tcp://b:1' }],
    ['then DOCKER_CONTEXT', { env: { DOCKER_CONTEXT: 'far' } }, { address: 'ssh://me@far.example', context: 'far' }],
    ['then the current context', { env: {} }, { address: 'unix:///home/me/.colima/docker.sock', context: 'colima' }],
    [
      'an empty variable is none',
      { env: { DOCKER_HOST: '', DOCKER_CONTEXT: '' } },
      { address: 'unix:///home/me/.colima/docker.sock', context: 'colima' },
    ],
    [
      'the default context is the local socket',
      { context: 'default' },
      { address: 'unix:///var/run/docker.sock', context: 'default' },
    ],
    ['a host without scheme is TCP', { host: 'a:2375' }, { address: 'tcp://a:2375' }],
    [
      'a context brings its certificates',
      { context: 'tls' },
      {
        address: 'tcp://far.example:2376',
        context: 'tls',
        tls: { ca: 'ca', cert: 'cert', key: 'key', skipVerify: false },
      },
    ],
    [
      'a context may leave verification out',
      { context: 'loose' },
      { address: 'tcp://far.example:2376', context: 'loose', tls: { skipVerify: true } },
    ],
  ])('%s', async (_, options, endpoint) => {
    expect(await resolveEndpoint({ configDir, ...options })).toEqual(endpoint);
  });

  it('DOCKER_TLS_VERIFY and https take the certificates of the folder, DOCKER_CONFIG names it', async () => {
    const env = { DOCKER_HOST: 'tcp://a:2376', DOCKER_TLS_VERIFY: '1', DOCKER_CONFIG: configDir };
    expect(await resolveEndpoint({ env })).toEqual({
      address: 'tcp://a:2376',
      tls: { ca: 'own ca', skipVerify: false },
    });
    expect(await resolveEndpoint({ host: 'https://a:2376', configDir })).toMatchObject({ tls: { ca: 'own ca' } });
    expect(await resolveEndpoint({ host: 'https://a:2376', configDir, env: { DOCKER_CERT_PATH: '/nowhere' } })).toEqual(
      { address: 'https://a:2376', tls: { skipVerify: false } },
    );
  });

  it('without any file, it is the local one', async () => {
    expect(await resolveEndpoint({ configDir: '/nowhere' })).toEqual({
      address: 'unix:///var/run/docker.sock',
      context: 'default',
    });
  });

  it.each([
    ['an unknown context, with those there are', { context: 'farr' }, /no Docker context "farr"/, /far/],
    ['a context without an address', { context: 'empty' }, /names no engine/, /docker context update/],
    ['a damaged context', { context: 'broken' }, /not valid JSON/, /./],
    ['what is no address', { host: 'ftp://x' }, /"ftp:\/\/x" is no address/, /unix:/],
  ])('refuses %s', async (_, options, message, hint) => {
    await expect(resolveEndpoint({ configDir, ...options })).rejects.toMatchObject({
      code: 'DOCKER_CONTEXT_INVALID',
      message: expect.stringMatching(message) as unknown,
      hint: expect.stringMatching(hint) as unknown,
    });
  });
});

describe('connections', () => {
  it('to TLS engines use the certificates and ports of the address', async () => {
    const { docker } = await openConnection({
      address: 'tcp://a.example',
      tls: { ca: 'ca', cert: 'cert', key: 'key', skipVerify: true },
    });
    expect(docker.modem).toMatchObject({
      host: 'a.example',
      port: 2376,
      protocol: 'https',
      ca: 'ca',
      cert: 'cert',
      key: 'key',
    });
    const plain = await openConnection({ address: 'tcp://a.example' });
    expect(plain.docker.modem).toMatchObject({ host: 'a.example', port: 2375, protocol: 'http' });
    const pipe = await openConnection({ address: 'npipe:////./pipe/docker_engine' });
    expect(pipe.docker.modem).toMatchObject({ socketPath: '//./pipe/docker_engine' });
  });

  it('without permission tell what to do', async () => {
    // A folder in the way of a socket's name stands for what the kernel refuses; EACCES itself is mapped in docker-error.test.ts.
    await expect(connectDocker({ host: 'unix:///etc/passwd/docker.sock' })).rejects.toMatchObject({
      code: 'DOCKER_UNREACHABLE',
    });
  });
});

describe('the arguments of ssh', () => {
  it.each([
    ['ssh://far', ['--', 'far']],
    ['ssh://me@far:2222', ['-l', 'me', '-p', '2222', '--', 'far']],
    ['ssh://a%20b@[::1]', ['-l', 'a b', '--', '::1']],
  ])('%s', (address, expected) => {
    expect(sshArguments(address)).toEqual([
      '-o',
      'BatchMode=yes',
      '-o',
      'ConnectTimeout=10',
      '-T',
      ...expected,
      'docker',
      'system',
      'dial-stdio',
    ]);
  });
});
