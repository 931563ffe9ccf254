import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readRecipients, recipientFiles } from './recipients.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'recipients-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('recipients of a backup', () => {
  it('are those of the flag, else those of the environment', () => {
    const env = { DEVSTACK_BACKUP_RECIPIENTS: '/keys/ada.asc:/keys/bob.asc:' };
    expect(recipientFiles({}, { env })).toEqual(['/keys/ada.asc', '/keys/bob.asc']);
    expect(recipientFiles({ recipient: '/keys/carol.asc' }, { env })).toEqual(['/keys/carol.asc']);
    expect(recipientFiles({ recipient: ['/a', '/b'] }, { env })).toEqual(['/a', '/b']);
    expect(recipientFiles({}, { env: {} })).toEqual([]);
  });

  it('are refused by the name of the file where it is no key', async () => {
    const file = join(folder, 'no-key.asc');
    await writeFile(file, 'hello');
    for (const path of [file, join(folder, 'missing.asc')])
      await expect(readRecipients({ recipient: path }, { env: {} })).rejects.toMatchObject({
        code: 'BACKUP_RECIPIENT_INVALID',
        message: expect.stringContaining(path) as string,
      });
  });
});
