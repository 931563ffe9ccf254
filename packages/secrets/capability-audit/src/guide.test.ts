import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { loadComposeProject } from '@devstack-core/compose-project';
import { describe, expect, it } from 'vitest';
import { auditDeclaredCapabilities, parseAllowlist, renderCapabilityGuide } from './index.ts';

const root = fileURLToPath(new URL('../../../../', import.meta.url));
const file = 'configs/capability-allowlist.yaml';
const stack = await loadComposeProject({ files: [`${root}infrastructure/compose/compose.yaml`], env: {} });
const own = parseAllowlist(await readFile(root + file, 'utf8'), file);

describe('the guide', () => {
  // Run with -u to write it anew after the compose files, the allowlist or the table changed.
  it('of this stack is up to date', async () => {
    const page = renderCapabilityGuide({ compose: stack, allowlist: own });
    await expect(page).toMatchFileSnapshot(`${root}docs/security/capabilities.md`);
  });

  it('says what is added and why, and what is accepted', () => {
    const [first] = stack.services;
    if (first === undefined) throw new Error('the stack has no service');
    const service = {
      ...first,
      name: 'web',
      capabilitiesAdded: ['cap_chown', 'KILL'],
      capabilitiesDropped: [],
      capabilities: [{ name: 'CHOWN', reason: 'It owns | gives.' }],
    };
    const allowlist = parseAllowlist(
      'capabilities: [{service: web, capability: CHOWN, reason: r, risk: low, owner: o, expires: 2030-01-02}]\nhardening: [{service: web, rule: root-user, reason: q, owner: p, expires: 2030-01-03}]\n',
      'a.yaml',
    );
    const page = renderCapabilityGuide({ compose: { services: [service] }, allowlist });
    expect(page).toContain(
      '| web     | nothing | `CHOWN`, `KILL` | `CHOWN`: It owns \\| gives.; `KILL`: no reason given |',
    );
    expect(page).toMatch(/\| web +\| `CHOWN` +\| low +\| r +\| o +\| 2030-01-02 \|/);
    expect(page).toMatch(/\| web +\| `root-user` +\| q +\| p +\| 2030-01-03 \|/);
  });
});

it('this stack declares no capability that is not allowed, and allows none that is not declared', () => {
  const report = auditDeclaredCapabilities({ compose: stack, allowlist: own, root });
  expect(report.findings).toEqual([]);
  expect(report.checkedCount).toBe(stack.services.length);
});
