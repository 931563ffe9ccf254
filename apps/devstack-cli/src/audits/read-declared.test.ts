import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { exitCodeFor } from '@devstack-core/errors';
import { expect, onTestFinished, test } from 'vitest';
import { readDeclared } from './read-declared.ts';

test('what an audit compares with is read whatever its mode, and where it is missing the next step is told', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'declared-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const path = join(folder, 'allowlist.yaml');
  const error: unknown = await readDeclared(path).catch((caught: unknown) => caught);
  expect(error).toMatchObject({
    code: 'FILE_MISSING',
    hint: expect.stringContaining(`git checkout -- ${path}`) as string,
  });
  expect(exitCodeFor(error)).toBe(1);
  await writeFile(path, 'capabilities: []\n', { mode: 0o644 });
  expect(await readDeclared(path)).toBe('capabilities: []\n');
});
