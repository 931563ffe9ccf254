import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { encodedForms, SecretRegistry } from '@devstack-core/redaction';
import { beforeAll, describe, expect, it } from 'vitest';
import { fakeVault, type FakeAnswer, type FakeRequest } from '../test/fake-vault.ts';

const planted = {
  token: `hvs.${randomBytes(24).toString('base64url')}`,
  secretId: `secret-id-${randomBytes(12).toString('hex')}`,
  password: `p"ss w\\rd/${randomBytes(12).toString('base64url')}&ü`,
  key: randomBytes(33).toString('hex'),
};
/** What only an answer holds: these must stay within `Secret` too. */
const given = {
  clientToken: `hvs.${randomBytes(24).toString('base64url')}`,
  stored: `stored-${randomBytes(12).toString('hex')}`,
  secretId: `given-${randomBytes(12).toString('hex')}`,
  unsealKey: randomBytes(33).toString('hex'),
  privateKey: `private-${randomBytes(24).toString('base64url')}`,
};

/** The worst that a server can do: it repeats the whole request, and each secret in it in every encoding, in its error text. */
function worst(request: FakeRequest): FakeAnswer {
  const headers = JSON.stringify(request.headers);
  const secrets = Object.values(planted).filter((value) =>
    `${request.text} ${headers}`.includes(JSON.stringify(value).slice(1, -1)),
  );
  const whole = [
    request.text,
    headers,
    ...secrets.flatMap((value) => encodedForms(value).map(({ text }) => text)),
  ].join(' ');
  const refuse = (status: number, text = ''): FakeAnswer => ({ status, json: { errors: [`${text} ${whole}`] } });
  if (request.url.startsWith('/v1/sys/seal-status') && request.headers['x-vault-token'] === undefined) {
    return { json: { initialized: request.headers['x-vault-namespace'] !== 'uninitialized', sealed: true } };
  }
  switch (request.headers['x-vault-namespace']) {
    case '400': return refuse(400);
    case '403': return refuse(403);
    case '404': return refuse(404);
    case '500': return refuse(500);
    case 'sealed':
    case 'uninitialized': return refuse(503);
    case 'standby': return refuse(429);
    case 'cas': return refuse(400, 'check-and-set');
    case 'html': return { status: 200, text: `<html>${whole}` };
    case 'truncated': return { cut: 'within', text: `{"errors":["${whole}` };
    case 'reset': return { cut: 'before' };
    case 'timeout': return { delayMs: 400, json: {} };
    default: return { json: success };
  } // prettier-ignore
}

const success = {
  initialized: true, sealed: false, keys: [given.unsealKey], keys_base64: [given.unsealKey], root_token: given.clientToken,
  auth: { client_token: given.clientToken, accessor: 'accessor', policies: ['p'], lease_duration: 60 },
  data: { data: { password: given.stored }, metadata: { version: 1 }, secret_id: given.secretId, secret_id_accessor: 'accessor', creation_time: 'now', keys: ['a'], private_key: given.privateKey },
}; // prettier-ignore

describe('with DEBUG=* and NODE_DEBUG=*, printing every result and every error', { timeout: 60_000 }, () => {
  let ours: { output: string; requests: number };
  let control: { output: string; requests: number };

  beforeAll(async () => {
    [ours, control] = await Promise.all([probe('ours'), probe('node-vault')]);
  }, 60_000);

  it.each([...Object.entries(planted), ...Object.entries(given)])('%s is nowhere in the output', (name, value) => {
    const registry = new SecretRegistry();
    registry.add(value, name);
    const around = registry
      .find(ours.output)
      .map(({ form, start }) => `${form}: ${ours.output.slice(Math.max(0, start - 80), start)}`);
    expect(around.slice(0, 3)).toEqual([]);
  });

  it('every call was made under every kind of answer', () => {
    expect(ours.requests).toBeGreaterThan(13 * 60);
    expect(ours.output).toMatch(/noted \d{4}/);
    for (const code of [
      'UNREACHABLE',
      'SEALED',
      'UNINITIALIZED',
      'PERMISSION_DENIED',
      'NOT_FOUND',
      'BAD_CREDENTIALS',
      'CAS_MISMATCH',
      'REQUEST_FAILED',
    ]) {
      expect(ours.output).toContain(`VAULT_${code}`);
    }
    expect(ours.output).toContain('INTERRUPTED');
  });

  // The control: without it, an empty search would prove nothing.
  it.each(Object.entries(planted))('node-vault by itself prints %s', (name, value) => {
    const registry = new SecretRegistry();
    registry.add(value, name);
    expect(registry.find(control.output).length).toBeGreaterThan(0);
  });
});

async function probe(mode: string): Promise<{ output: string; requests: number }> {
  await using vault = await fakeVault(worst);
  const script = fileURLToPath(new URL('../test/leak-probe.ts', import.meta.url));
  const child = spawn(process.execPath, ['-C', '@devstack-core/source', script, mode], {
    env: {
      PATH: process.env['PATH'],
      DEBUG: '*',
      DEBUG_DEPTH: '20',
      NODE_DEBUG: '*',
      VAULT_TOKEN: '',
      VAULT_ADDR: 'http://127.0.0.1:1',
    },
  });
  const chunks: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => chunks.push(chunk));
  child.stdin.end(JSON.stringify({ address: vault.address, closed: 'http://127.0.0.1:1', ...planted }));
  const code = await new Promise((resolve) => child.on('close', resolve));
  const output = Buffer.concat(chunks).toString('utf8');
  if (code !== 0) throw new Error(`The probe ended with ${String(code)}: ${output.slice(-2000)}`);
  return { output, requests: vault.requests.length };
}
