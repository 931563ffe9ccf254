import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { isApplied, readAppliedVersions, writeAppliedVersions } from './applied-versions.ts';

const versions = {
  secrets: { version: 3, createdTime: '2026-01-01T00:00:00Z' },
  clients: { version: 0, createdTime: '' },
};

async function temporary(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'applied-'));
  onTestFinished(() => rm(directory, { recursive: true }));
  return directory;
}

test('what was recorded is applied', async () => {
  const directory = await temporary();
  await writeAppliedVersions(directory, 'x', versions);
  expect(isApplied(await readAppliedVersions(directory), 'x', versions)).toBe(true);
});

test.each([
  ['another version', { ...versions, secrets: { ...versions.secrets, version: 4 } }],
  ['the same number of another Vault', { ...versions, secrets: { ...versions.secrets, createdTime: 'later' } }],
  ['changed clients', { ...versions, clients: { version: 1, createdTime: 'now' } }],
])('%s is not applied yet', async (_, other) => {
  const directory = await temporary();
  await writeAppliedVersions(directory, 'x', versions);
  expect(isApplied(await readAppliedVersions(directory), 'x', other)).toBe(false);
});

test('another engine’s record does not count', async () => {
  const directory = await temporary();
  await writeAppliedVersions(directory, 'x', versions);
  expect(isApplied(await readAppliedVersions(directory), 'y', versions)).toBe(false);
});

test.each(['', 'null', '{"engine":1}', '{"engine":"x","secrets":null}', '{"engine":"x","secrets":{"version":"1"}}'])(
  'a record that cannot be read (%s) counts as none',
  async (text) => {
    const directory = await temporary();
    await writeFile(join(directory, '.devstack-applied.json'), text);
    expect(await readAppliedVersions(directory)).toBeUndefined();
  },
);

test('no record is none', async () => {
  expect(isApplied(await readAppliedVersions(await temporary()), 'x', versions)).toBe(false);
});
