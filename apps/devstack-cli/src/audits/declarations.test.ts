import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { auditDeclaredCapabilities, parseAllowlist } from '@devstack-core/capability-audit';
import { loadComposeProject, type ComposeModel } from '@devstack-core/compose-project';
import { parseNetworkPaths } from '@devstack-core/network-audit';
import { tlsModeOf } from '@devstack-core/stack-lifecycle';
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

describe('network paths', () => {
  const services = stack.services.map(({ name }) => name);

  test.each(['configs/network-paths.yaml', 'configs/network-paths-single.yaml'])(
    '%s names services that there are, and gives a reason for each path',
    async (file) => {
      const { allow, egress } = parseNetworkPaths(await readFile(join(root, file), 'utf8'), file);
      const named = [...allow.flatMap(({ from, to }) => [from, to]), ...egress.map(({ service }) => service)];
      expect(named.filter((name) => !services.includes(name))).toEqual([]);
      expect([...allow, ...egress].filter(({ reason }) => reason.trim() === '')).toEqual([]);
    },
  );

  test('every service that logs in to Vault has a declared way there', async () => {
    const file = 'configs/network-paths.yaml';
    const { allow } = parseNetworkPaths(await readFile(join(root, file), 'utf8'), file);
    const toVault = allow.filter(({ to }) => to === 'vault').map(({ from }) => from);
    const clients = stack.services.filter(({ authentication }) => authentication === 'approle').map(({ name }) => name);
    expect(toVault.toSorted()).toEqual(clients.toSorted());
  });
});

describe('certificates', () => {
  test('a service that has a role may sign for its own names and nothing else', async () => {
    const withRole = stack.services.filter((service) => service.role !== undefined);
    expect(withRole.length).toBeGreaterThan(8);
    for (const { role, name } of withRole) {
      const policy = await readFile(join(root, `configs/vault/policies/${role ?? ''}-policy.hcl`), 'utf8');
      expect(policy.match(/pki\/\S+(?=")/g), name).toEqual([`pki/sign/${role ?? ''}`]);
    }
  });

  test('every service speaks TLS unless told otherwise, and has a switch of its own', async () => {
    const switches = stack.services.map(({ name }) => [switchOf(name), 'required'] as const);
    const required = await loadComposeProject({ files: [composeFile], env: Object.fromEntries(switches) });
    const without = await loadComposeProject({ files: [composeFile], env: { DEVSTACK_TLS: 'false' } });
    const modes = (model: ComposeModel) => model.services.map((service) => tlsModeOf(service));
    expect(new Set(modes(stack))).toEqual(new Set(['true']));
    expect(new Set(modes(required))).toEqual(new Set(['required']));
    expect(new Set(modes(without))).toEqual(new Set(['false']));
  });
});

// The nodes of the Redis cluster have one together.
function switchOf(service: string): string {
  return `${service
    .replace(/^redis-\d$/, 'redis')
    .toUpperCase()
    .replaceAll('-', '_')}_ENABLE_TLS`;
}
