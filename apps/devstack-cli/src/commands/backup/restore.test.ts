import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openBackupStore } from '@devstack-core/backup-store';
import { DevstackError } from '@devstack-core/errors';
import { Secret } from '@devstack-core/redaction';
import { beforeEach, describe, expect, it } from 'vitest';
import { createContext, type Context } from '../../context.ts';
import { run } from './restore.ts';

let folder: string;
let id: string;
const asked: string[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'devstack-ask-'));
  const passphrase = 'correct horse battery staple 9';
  await writeFile(join(folder, 'passphrase'), passphrase, { mode: 0o600 });
  const store = openBackupStore({
    directory: join(folder, 'sets'),
    tool: { name: 'test', version: '1' },
    passphrase: new Secret(passphrase),
  });
  await using draft = await store.create({ project: 'devstack', kind: 'full', encrypted: true });
  await draft.add({ service: 'postgres', part: 'shop', kind: 'content', extension: 'sql', content: rows() });
  ({ id } = await draft.finish());
  asked.length = 0;
  return () => rm(folder, { recursive: true, force: true });
});

async function* rows(): AsyncGenerator<Uint8Array, void, undefined> {
  await Promise.resolve();
  yield Buffer.from('rows');
}

const options = (): Record<string, string> => ({
  directory: join(folder, 'sets'),
  'passphrase-file': join(folder, 'passphrase'),
});

// A stack of which nothing but the name may be looked at before the answer.
function context(more: Partial<Context> = {}): Context {
  const real = createContext({
    env: { DEVSTACK_CONFIG_HOME: join(folder, 'home') },
    cwd: folder,
    signal: new AbortController().signal,
    progress: 'none',
    color: false,
    json: false,
  });
  return {
    ...real,
    stack: () => Promise.resolve({ project: { id: 'devstack' } } as unknown as Awaited<ReturnType<Context['stack']>>),
    confirm: (question, yes) => {
      asked.push(`${question} ${String(yes)}`);
      return Promise.reject(new DevstackError({ code: 'DECLINED', message: 'Nothing was changed.' }));
    },
    ...more,
  };
}

describe('a restore into a stack that holds something', () => {
  it('asks before it replaces anything, and without an answer nothing is touched', async () => {
    const args = { ...options(), id, only: 'postgres' };
    await expect(run(args, context())).rejects.toMatchObject({ code: 'DECLINED' });
    expect(asked).toEqual([`This replaces postgres by what the backup ${id} holds. false`]);
    await expect(run({ ...args, only: '' }, context())).rejects.toMatchObject({ code: 'DECLINED' });
    await expect(run({ ...args, yes: true }, context())).rejects.toMatchObject({ code: 'DECLINED' });
    expect(asked[2]).toMatch(/ true$/);
    expect(await readdir(folder)).toEqual(['passphrase', 'sets']);
  });

  it('is refused where there is no terminal to ask on', async () => {
    const { confirm } = createContext({
      env: {},
      cwd: folder,
      signal: new AbortController().signal,
      progress: 'none',
      color: false,
      json: false,
    });
    await expect(confirm('This replaces it.', false)).rejects.toMatchObject({
      code: 'USAGE',
      hint: 'Say --yes to go ahead.',
    });
    await expect(confirm('This replaces it.', true)).resolves.toBeUndefined();
  });
});
