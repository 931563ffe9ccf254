import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { isSetting } from './stack.ts';

const example = readFileSync(new URL('../../../../.env.example', import.meta.url), 'utf8');
const explained = [...example.matchAll(/^# ([A-Z0-9_]+)=/gm)].flatMap(([, name]) => name ?? []);

test('every variable that .env.example explains is taken from .env and from the environment', () => {
  expect(explained.length).toBeGreaterThan(20);
  expect(explained.filter((name) => !isSetting(name))).toEqual([]);
  for (const foreign of ['PATH', 'VAULT_TOKEN', 'DOCKER_HOST', 'HOME']) expect(isSetting(foreign)).toBe(false);
});
