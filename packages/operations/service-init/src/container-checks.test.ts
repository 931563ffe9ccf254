import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { fakeContainer } from '../test/fake-container.ts';
import { checkDataDirectory } from './data-directory.ts';
import { findProgram } from './find-program.ts';

test('a data volume that cannot be entered is named with its owner and mode', async () => {
  await using container = await fakeContainer('postgres');
  const file = join(container.root, 'volume');
  await writeFile(file, '', { mode: 0o600 });
  await expect(checkDataDirectory(file)).rejects.toMatchObject({
    code: 'DATA_UNUSABLE',
    message: expect.stringMatching(/belongs to uid \d+, mode 600/) as string,
  });
});

test('a data volume of our own is fine', async () => {
  await using container = await fakeContainer('postgres');
  await expect(checkDataDirectory(join(container.root, 'data'))).resolves.toBeUndefined();
});

test('without a PATH the usual folders are searched', async () => {
  expect(await findProgram({ settings: {} }, 'sh')).toMatch(/\/bin\/sh$/);
});
