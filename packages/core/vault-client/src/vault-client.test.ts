import { inspect } from 'node:util';
import { Secret } from '@devstack-core/redaction';
import { describe, expect, it, vi } from 'vitest';
import { fakeVault, type FakeAnswer } from '../test/fake-vault.ts';
import { createVaultClient, type RetryEvent, type VaultClient, type VaultClientOptions } from './index.ts';

const token = new Secret('hvs.the-token-of-this-test');
const fast = { timeoutMs: 2000, retry: { deadlineMs: 0 } };
const clientOf = (address: string, options: Partial<VaultClientOptions> = {}): VaultClient =>
  createVaultClient({ address, token, ...fast, ...options });

describe('the address', () => {
  it.each(['', 'vault:8200', 'ftp://vault', 'http://user:password@vault:8200', 'not an address'])(
    'refuses %j',
    (address) => {
      expect(() => createVaultClient({ address })).toThrow(expect.objectContaining({ code: 'VAULT_BAD_ADDRESS' }));
    },
  );

  it('keeps the origin only', () => {
    expect(createVaultClient({ address: 'http://127.0.0.1:8200/v1/?x=1' }).address).toBe('http://127.0.0.1:8200');
  });
});

describe('a request', () => {
  it('carries token, namespace and JSON, and nothing of the environment', async () => {
    vi.stubEnv('VAULT_TOKEN', 'environment-token');
    vi.stubEnv('VAULT_NAMESPACE', 'environment-namespace');
    vi.stubEnv('VAULT_PREFIX', '/environment-prefix');
    await using vault = await fakeVault(() => ({ json: { data: {} } }));
    await clientOf(vault.address).withToken(undefined).request('GET', '/v1/sys/mounts');
    await clientOf(vault.address, { namespace: 'team', userAgent: 'tests' }).request('PUT', 'sys/x', {
      deep: [{ key: new Secret('s3cret') }],
    });
    vi.unstubAllEnvs();
    expect(vault.requests[0]).toMatchObject({ method: 'GET', url: '/v1/sys/mounts' });
    expect(vault.requests[0]?.headers).not.toHaveProperty('x-vault-token');
    expect(vault.requests[0]?.headers).not.toHaveProperty('x-vault-namespace');
    expect(vault.requests[1]).toMatchObject({ method: 'PUT', url: '/v1/sys/x', body: { deep: [{ key: 's3cret' }] } });
    expect(vault.requests[1]?.headers).toMatchObject({
      'x-vault-token': token.reveal(),
      'x-vault-namespace': 'team',
      'user-agent': 'tests',
      'x-vault-request': 'true',
    });
  });

  it('reuses its connections, also when many run at once', async () => {
    await using vault = await fakeVault(() => ({ json: { data: {} }, delayMs: 5 }));
    const client = clientOf(vault.address);
    await Promise.all(Array.from({ length: 50 }, () => client.request('GET', 'sys/mounts')));
    await client.withToken(new Secret('another-token')).request('GET', 'sys/mounts');
    expect(vault.connections()).toBeLessThanOrEqual(32);
    client.close();
  });

  it.each(['../sys', 'a//b', '/a', 'a/', '', 'a/./b'])('refuses the path %j', async (path) => {
    await expect(clientOf('http://127.0.0.1:1').kvRead(path)).rejects.toMatchObject({ code: 'VAULT_BAD_PATH' });
  });

  it('writes special characters of a path so that they stay in it', async () => {
    await using vault = await fakeVault(() => ({ json: { data: {} } }));
    await clientOf(vault.address).kvWrite('a?b/ü#%', { x: 'y' });
    expect(vault.requests[0]?.url).toBe('/v1/secret/data/a%3Fb/%C3%BC%23%25');
  });

  it.each(['', 'hvs.with-a-line-end\n', 'hvs.two words', 'hvs.ü'])('refuses the token %j at once', async (bad) => {
    const error: unknown = await clientOf('http://127.0.0.1:1', {
      retry: { deadlineMs: 20_000 },
      token: new Secret(bad),
    })
      .lookupSelf()
      .catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: 'VAULT_BAD_CREDENTIALS' });
    if (bad !== '') expect(inspect(error)).not.toContain(bad.trim());
  });

  it('shows nothing of its token', () => {
    const client = clientOf('http://127.0.0.1:1');
    expect(inspect(client, { depth: Infinity, showHidden: true })).not.toContain(token.reveal());
    expect(JSON.stringify(client)).not.toContain(token.reveal());
    expect(client.hasToken).toBe(true);
    expect(client.withToken(undefined).hasToken).toBe(false);
  });
});

describe('an answer', () => {
  const cases: readonly (readonly [string, FakeAnswer, object])[] = [
    ['403', { status: 403, json: { errors: ['permission denied'] } }, { code: 'VAULT_PERMISSION_DENIED', details: { status: 403, path: 'sys/x', errors: ['permission denied'] } }],
    ['404', { status: 404, json: { errors: [] } }, { code: 'VAULT_NOT_FOUND' }],
    ['400', { status: 400, json: { errors: ['no such field'] } }, { code: 'VAULT_REQUEST_FAILED', message: expect.stringContaining('no such field') as string }],
    ['500', { status: 500, json: { errors: ['it broke'] } }, { code: 'VAULT_REQUEST_FAILED', details: { status: 500, errors: ['it broke'] } }],
    ['a redirect, which the token does not follow', { status: 307, json: {} }, { code: 'VAULT_REQUEST_FAILED', details: { status: 307 } }],
    ['check-and-set', { status: 400, json: { errors: ['check-and-set parameter did not match the current version'] } }, { code: 'VAULT_CAS_MISMATCH' }],
    ['bad JSON', { status: 200, text: '<html>' }, { code: 'VAULT_REQUEST_FAILED', message: expect.stringContaining('did not send JSON') as string }],
    ['bad JSON of a proxy', { status: 502, text: '<html>' }, { code: 'VAULT_REQUEST_FAILED', details: { status: 502 } }],
    ['errors that are no list', { status: 400, json: { errors: 'odd' } }, { code: 'VAULT_REQUEST_FAILED' }],
    ['null', { status: 400, json: null }, { code: 'VAULT_REQUEST_FAILED' }],
    ['standby', { status: 500, json: { errors: ['local node not active but active cluster node not found'] } }, { code: 'VAULT_REQUEST_FAILED', details: { reason: 'not-active' } }],
    ['rate limited', { status: 429, json: { errors: ['slow down'] } }, { code: 'VAULT_REQUEST_FAILED', details: { status: 429 } }],
    ['a mount that is upgrading', { status: 400, json: { errors: ['Upgrading from non-versioned to versioned data.'] } }, { code: 'VAULT_REQUEST_FAILED', details: { reason: 'preparing' } }],
    ['a connection that ends', { cut: 'before' }, { code: 'VAULT_UNREACHABLE', details: { outcome: 'unknown' } }],
    ['an answer that ends in the middle', { cut: 'within', text: '{"a":' }, { code: 'VAULT_UNREACHABLE', details: { reason: 'TRUNCATED' } }],
  ]; // prettier-ignore

  it.each(cases)('%s', async (_name, answer, expected) => {
    await using vault = await fakeVault(() => answer);
    await expect(clientOf(vault.address).request('POST', 'sys/x', {})).rejects.toMatchObject(expected);
  });

  it('that repeats a secret of the request loses it', async () => {
    const secret = new Secret('correct horse battery staple');
    await using vault = await fakeVault((request) => ({
      status: 400,
      json: { errors: [`no: ${request.text}`, encodeURIComponent('correct horse battery staple')] },
    }));
    const error: unknown = await clientOf(vault.address)
      .kvWrite('a', { password: secret, short: 'pw' })
      .catch((caught: unknown) => caught);
    expect(inspect(error, { depth: Infinity, showHidden: true })).not.toMatch(/horse/);
    expect(error).toMatchObject({ details: { errors: ['[withheld: the answer repeats a secret]', '[secret]'] } });
  });
});

describe('waiting', () => {
  const patient = { retry: { deadlineMs: 5000 } };
  const sealedFor = (times: number, json: unknown = { data: { fine: true } }) => {
    let left = times;
    return (request: { url: string }): FakeAnswer => {
      if (request.url === '/v1/sys/seal-status') return { json: { initialized: true, sealed: true } };
      return left-- > 0 ? { status: 503, json: { errors: ['Vault is sealed'] } } : { json };
    };
  };

  it('goes on when Vault is unsealed, and says what it waits for', async () => {
    await using vault = await fakeVault(sealedFor(2));
    const seen: RetryEvent[] = [];
    const answer = await clientOf(vault.address, { ...patient, onRetry: (event) => seen.push(event) }).request(
      'POST',
      'sys/x',
      {},
    );
    expect(answer).toEqual({ data: { fine: true } });
    expect(seen.map(({ reason, attempt, path }) => ({ reason, attempt, path }))).toEqual([
      { reason: 'sealed', attempt: 1, path: 'sys/x' },
      { reason: 'sealed', attempt: 2, path: 'sys/x' },
    ]);
  });

  it('ends at the deadline', async () => {
    await using vault = await fakeVault(sealedFor(Infinity));
    await expect(clientOf(vault.address, { retry: { deadlineMs: 200 } }).kvRead('a')).rejects.toMatchObject({
      code: 'VAULT_SEALED',
    });
    expect(vault.requests.length).toBeGreaterThan(3);
  });

  it('does not wait for a Vault that is not initialised', async () => {
    await using vault = await fakeVault((request) =>
      request.url === '/v1/sys/seal-status'
        ? { json: { initialized: false } }
        : { status: 503, json: { errors: ['Vault is sealed'] } },
    );
    await expect(clientOf(vault.address, patient).kvRead('a')).rejects.toMatchObject({ code: 'VAULT_UNINITIALIZED' });
  });

  it('takes a Vault that seals itself in between for a sealed one', async () => {
    await using vault = await fakeVault((request) =>
      request.url === '/v1/sys/seal-status' ? { cut: 'before' } : { status: 503, json: { errors: [] } },
    );
    await expect(clientOf(vault.address).kvRead('a')).rejects.toMatchObject({ code: 'VAULT_SEALED' });
  });

  it.each([
    ['a standby', { status: 429, json: { errors: [] } }],
    [
      'a mount that is upgrading',
      { status: 400, json: { errors: ['Upgrading from non-versioned to versioned data'] } },
    ],
    ['a proxy without its server', { status: 502, text: 'bad gateway' }],
  ] as const)('goes on after %s', async (_name, answer) => {
    await using vault = await fakeVault((_request, count) => (count < 3 ? answer : { json: { data: { version: 4 } } }));
    expect(await clientOf(vault.address, patient).kvWrite('a', { x: 'y' })).toBe(4);
  });

  it('connects as soon as something listens', async () => {
    const first = await fakeVault(() => ({}));
    await first[Symbol.asyncDispose]();
    let later: ReturnType<typeof fakeVault> | undefined;
    const onRetry = (): void => void (later ??= fakeVault(() => ({ json: {} }), Number(new URL(first.address).port)));
    // Not even a call that may run only once is in danger: it was never sent.
    await expect(clientOf(first.address, { ...patient, onRetry }).request('POST', 'sys/x', {})).resolves.toEqual({});
    await (await later)?.[Symbol.asyncDispose]();
  });

  it('repeats a read after a lost answer, and never a call whose outcome is unknown', async () => {
    const losing = (_request: unknown, count: number): FakeAnswer =>
      count === 1 ? { cut: 'before' } : { json: { data: {}, keys: [] } };
    for (const [repeats, work] of [
      [true, (client: VaultClient) => client.kvRead('a')],
      [true, (client: VaultClient) => client.kvWrite('a', { x: 'y' })],
      [true, (client: VaultClient) => client.writePolicy('a', '')],
      [false, (client: VaultClient) => client.kvWrite('a', { x: 'y' }, { cas: 0 })],
      [false, (client: VaultClient) => client.init({ shares: 1, threshold: 1 })],
      [false, (client: VaultClient) => client.createSecretId({ role: 'a' })],
      [false, (client: VaultClient) => client.createToken({ policies: [] })],
      [false, (client: VaultClient) => client.restoreSnapshot(new Uint8Array(4))],
    ] as const) {
      await using vault = await fakeVault(losing);
      const outcome = await work(clientOf(vault.address, patient)).then(
        () => 'fine',
        (error: unknown) => (error as { details: { outcome: string } }).details.outcome,
      );
      expect({ outcome, requests: vault.requests.length }).toEqual(
        repeats ? { outcome: 'fine', requests: 2 } : { outcome: 'unknown', requests: 1 },
      );
    }
  });

  it('gives a slow Vault up after the timeout of each attempt', async () => {
    await using vault = await fakeVault(() => ({ json: {}, delayMs: 500 }));
    await expect(clientOf(vault.address, { timeoutMs: 50 }).kvRead('a')).rejects.toMatchObject({
      code: 'VAULT_UNREACHABLE',
      details: { reason: 'TIMEOUT' },
    });
    await expect(
      clientOf(vault.address, { timeoutMs: 50, retry: { deadlineMs: 200 } }).kvRead('a'),
    ).rejects.toMatchObject({ code: 'VAULT_UNREACHABLE' });
    expect(vault.requests.length).toBeGreaterThan(2);
  });

  it('ends at once when it is interrupted, before, within and between attempts', async () => {
    await using vault = await fakeVault(() => ({ json: {}, delayMs: 3000 }));
    await expect(clientOf(vault.address, { signal: AbortSignal.abort() }).kvRead('a')).rejects.toMatchObject({ code: 'INTERRUPTED' });
    await expect(clientOf(vault.address, { signal: AbortSignal.timeout(50) }).kvRead('a')).rejects.toMatchObject({ code: 'INTERRUPTED' });
    const controller = new AbortController();
    const waiting = clientOf('http://127.0.0.1:1', patient).with({ signal: controller.signal, onRetry: () => { controller.abort(); } });
    await expect(waiting.kvRead('a')).rejects.toMatchObject({ code: 'INTERRUPTED' });
  }); // prettier-ignore

  it('says what it could not reach', async () => {
    await expect(clientOf('http://127.0.0.1:1').health()).rejects.toMatchObject({
      code: 'VAULT_UNREACHABLE',
      message: expect.stringContaining('http://127.0.0.1:1 (ECONNREFUSED') as string,
      details: { reason: 'ECONNREFUSED', outcome: 'not-sent' },
    });
    await expect(clientOf('http://no-such-host.invalid').health()).rejects.toMatchObject({ code: 'VAULT_UNREACHABLE' });
  });
});

describe('answers of other versions', () => {
  it('reads values that are not strings as their JSON', async () => {
    await using vault = await fakeVault(() => ({
      json: { data: { data: { port: 5432, on: true, list: ['a'] }, metadata: { version: 2 } } },
    }));
    const found = await clientOf(vault.address).kvRead('a', { version: 2 });
    expect(Object.values(found?.data ?? {}).map((value) => value.reveal())).toEqual(['5432', 'true', '["a"]']);
    expect(vault.requests[0]?.url).toBe('/v1/secret/data/a?version=2');
  });

  it('takes a deleted version for nothing', async () => {
    await using vault = await fakeVault((_request, count) =>
      count === 1
        ? { status: 404, json: { data: { data: null, metadata: { destroyed: true } } } }
        : { json: { data: { data: null, metadata: {} } } },
    );
    expect(await clientOf(vault.address).kvRead('a')).toBeUndefined();
    expect(await clientOf(vault.address).kvRead('a')).toBeUndefined();
  });

  it('passes on what is not an answer to the question', async () => {
    await using vault = await fakeVault(() => ({ status: 500, json: { errors: ['something else'] } }));
    const client = clientOf(vault.address);
    for (const work of [
      () => client.enableMount({ path: 'a', type: 'kv' }),
      () => client.lookupSecretId({ role: 'a', secretId: token }),
      () => client.destroySecretIdAccessor({ role: 'a', accessor: 'b' }),
      () => client.revokeAccessor('a'),
      () => client.init({ shares: 1, threshold: 1 }),
      () => client.unseal(token, { reset: true }),
      () => client.loginAppRole({ roleId: 'a', secretId: token }),
    ]) {
      await expect(work()).rejects.toMatchObject({ code: 'VAULT_REQUEST_FAILED', details: { status: 500 } });
    }
  });
});
