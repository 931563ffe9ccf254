import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { isSetting, openStack } from './stack.ts';

const example = readFileSync(new URL('../../../../.env.example', import.meta.url), 'utf8');
const explained = [...example.matchAll(/^# ([A-Z0-9_]+)=/gm)].flatMap(([, name]) => name ?? []);

test('every variable that .env.example explains is taken from .env and from the environment', () => {
  expect(explained.length).toBeGreaterThan(20);
  expect(explained.filter((name) => !isSetting(name))).toEqual([]);
  for (const foreign of ['PATH', 'VAULT_TOKEN', 'DOCKER_HOST', 'HOME']) expect(isSetting(foreign)).toBe(false);
});

test.each(['yes', '1', 'TRUE'])('a root-token switch of %j is a usage error, not silently off', async (value) => {
  const root = fileURLToPath(new URL('../../../../', import.meta.url));
  const configHome = mkdtempSync(join(tmpdir(), 'devstack-settings-'));
  const env = { POSTGRES_VAULT_USE_ROOT_TOKEN: value, DEVSTACK_SUBNET_PREFIX: '10.77' };
  await expect(openStack({ root, configHome, env })).rejects.toMatchObject({
    code: 'PROJECT_INVALID',
    details: { usage: true },
  });
});
