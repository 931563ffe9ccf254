import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { auditDeclaredCapabilities, parseAllowlist } from '@devstack-core/capability-audit';
import { loadComposeProject, type ComposeModel } from '@devstack-core/compose-project';
import { parseNetworkPaths } from '@devstack-core/network-audit';
import { describe, expect, onTestFinished, test } from 'vitest';
import { allowlistFile } from './capabilities.ts';

// What can be said before anything runs: these make a build red until somebody has given a reason.

const root = resolve(import.meta.dirname, '../../../..');
const composeFile = join(root, 'infrastructure/compose/compose.yaml');
const stack = await loadComposeProject({ files: [composeFile], env: {} });
const allowlist = parseAllowlist(await readFile(join(root, allowlistFile), 'utf8'), allowlistFile);

async function withCapability(): Promise<ComposeModel> {
  const folder = await mkdtemp(join(tmpdir(), 'declarations-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const overlay = join(folder, 'overlay.yaml');
  await writeFile(
    overlay,
    'services:\n  postgres:\n    cap_add: [NET_ADMIN]\n    x-devstack: { capabilities: [{ name: NET_ADMIN, reason: a try }] }\n',
  );
  return loadComposeProject({ files: [composeFile, overlay], env: {} });
}

describe('capabilities', () => {
  test('each one in the compose files has its reason in the allowlist, and nothing in it is over or unused', () => {
    const report = auditDeclaredCapabilities({ compose: stack, allowlist, root });
    expect(report.findings).toEqual([]);
    expect(report.verdict).toBe('pass');
  });

  test('a new one is red', async () => {
    const { findings } = auditDeclaredCapabilities({ compose: await withCapability(), allowlist, root });
    expect(findings).toContainEqual(expect.objectContaining({ subject: 'postgres' }));
    expect(findings.some(({ message }) => message.includes('NET_ADMIN'))).toBe(true);
  });
});

describe.each(['configs/network-paths.yaml', 'configs/network-paths-single.yaml'])('%s', (file) => {
  const services = stack.services.map(({ name }) => name);

  test('names services that there are', async () => {
    const { allow, egress } = parseNetworkPaths(await readFile(join(root, file), 'utf8'), file);
    const named = [...allow.flatMap(({ from, to }) => [from, to]), ...egress.map(({ service }) => service)];
    expect(named.filter((name) => !services.includes(name))).toEqual([]);
  });
});

test('every service that logs in to Vault has a declared way there', async () => {
  const file = 'configs/network-paths.yaml';
  const { allow } = parseNetworkPaths(await readFile(join(root, file), 'utf8'), file);
  const toVault = allow.filter(({ to }) => to === 'vault').map(({ from }) => from);
  const clients = stack.services.filter(({ authentication }) => authentication === 'approle').map(({ name }) => name);
  expect(toVault.toSorted()).toEqual(clients.toSorted());
});

test('every service that has a role and a port can have a certificate: its policy lets it sign for its own names alone', async () => {
  for (const { role, name } of stack.services.filter((service) => service.role !== undefined)) {
    const policy = await readFile(join(root, `configs/vault/policies/${role ?? ''}-policy.hcl`), 'utf8');
    expect(policy.match(/pki\/\S+(?=")/g), name).toEqual([`pki/sign/${role ?? ''}`]);
  }
});
