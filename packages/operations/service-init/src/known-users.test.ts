import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { fakeContainer } from '../test/fake-container.ts';
import { rememberUsers } from './known-users.ts';

describe('rememberUsers', () => {
  it('returns the users of earlier starts, and forgets none', async () => {
    await using container = await fakeContainer('mysql');
    expect(await rememberUsers(container.root, ['a', 'b'])).toEqual([]);
    expect(await rememberUsers(container.root, ['a'])).toEqual(['a', 'b']);
    expect(await rememberUsers(container.root, ['c'])).toEqual(['a', 'b']);
    expect(await rememberUsers(container.root, [])).toEqual(['a', 'b', 'c']);
  });

  it.each(['', '{', '{"a":1}', `["it's", 7, "ok"]`])(
    'reads no name from %j that could break out of a statement',
    async (text) => {
      await using container = await fakeContainer('mysql');
      const file = join(container.root, '.devstack-users.json');
      await writeFile(file, text);
      const known = await rememberUsers(container.root, ['new']);
      expect(known.filter((name) => name !== 'ok')).toEqual([]);
      expect(JSON.parse(await readFile(file, 'utf8'))).toContain('new');
    },
  );
});
