import { createHash } from 'node:crypto';
import { readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { secret } from '@devstack-core/redaction';
import { describe, expect, test } from 'vitest';
import { fakeContainer } from '../test/fake-container.ts';
import { quoteRedis, redisInit } from './redis.ts';

const secrets = { username: 'default', password: 'a password with spaces' };
const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');

describe('redis', () => {
  test('the server gets hashes; the password itself is only in the file of the health check', async () => {
    await using container = await fakeContainer('redis');
    await container.program('redis-server');
    const clients = [
      { username: 'reference-api', verifier: secret(sha256('x')), role: 'reference-api', grants: 'application' },
    ];
    const prepared = await redisInit.prepare(
      container.context({ secrets, clients, settings: { DEVSTACK_ADDRESS: '172.20.2.21' } }),
    );
    const acl = await readFile(join(container.root, 'credentials/users.acl'), 'utf8');
    expect(acl).toContain(`user default reset on #${sha256(secrets.password)} ~* &* +@all\n`);
    expect(acl).toContain(`user reference-api reset on #${sha256('x')} ~*`);
    expect(acl).not.toContain(secrets.password);
    expect(prepared.argv.join(' ')).toContain('--cluster-announce-ip 172.20.2.21');
    expect(prepared.argv.join(' ')).not.toContain(secrets.password);
    expect(await readdir(join(container.root, 'data'))).toEqual([]);
  });

  test('the very first start takes the slots; later ones leave them where they are', async () => {
    await using container = await fakeContainer('redis');
    await container.program('redis-server');
    const context = container.context({ secrets, settings: { DEVSTACK_REDIS_SLOTS: '0-16383' } });
    await redisInit.prepare(context);
    const file = join(container.root, 'data/nodes.conf');
    expect(await readFile(file, 'utf8')).toMatch(
      /^[0-9a-f]{40} :0@0 myself,master - 0 0 1 connected 0-16383\nvars currentEpoch 1 lastVoteEpoch 0\n$/,
    );
    await writeFile(file, 'moved');
    await redisInit.prepare(context);
    expect(await readFile(file, 'utf8')).toBe('moved');
  });

  test('slots that are no slots are named', async () => {
    await using container = await fakeContainer('redis');
    await container.program('redis-server');
    await expect(
      redisInit.prepare(container.context({ secrets, settings: { DEVSTACK_REDIS_SLOTS: 'all' } })),
    ).rejects.toMatchObject({ code: 'SETTING_INVALID' });
  });

  test.each([
    { username: 'x', verifier: secret('short'), role: 'x', grants: 'application' },
    { username: 'x', verifier: secret(sha256('x')), role: 'x', grants: 'root' },
    { username: 'x', password: secret('plain'), role: 'x', grants: 'monitor' },
  ])('a client without a hash or with unknown grants is refused', async (client) => {
    await using container = await fakeContainer('redis');
    await container.program('redis-server');
    await expect(redisInit.prepare(container.context({ secrets, clients: [client] }))).rejects.toMatchObject({
      code: 'CLIENT_INVALID',
    });
  });

  test('every byte of a password survives the input of redis-cli', () => {
    expect(quoteRedis(`a"b\\c é`)).toBe('"a\\x22b\\x5cc\\x20\\xc3\\xa9"');
  });
});
