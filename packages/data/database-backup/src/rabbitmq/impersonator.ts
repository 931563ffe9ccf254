import type { ManagementApi } from './management-api.ts';

/**
 * Lets a user publish messages that name another one as their sender, which only a user with the tag `impersonator` may; the tag is gone
 * at the end of the scope.
 */
export async function impersonating(api: ManagementApi, username: string): Promise<AsyncDisposable> {
  const user = (await api.ask('GET', ['users', username])) as {
    readonly password_hash: string;
    readonly hashing_algorithm: string;
    readonly tags: readonly string[] | string;
  };
  const tags = typeof user.tags === 'string' ? user.tags.split(',') : user.tags;
  const put = async (wanted: readonly string[]): Promise<void> => {
    const { password_hash, hashing_algorithm } = user;
    await api.ask('PUT', ['users', username], { password_hash, hashing_algorithm, tags: wanted.join(',') });
  };
  if (tags.includes('impersonator')) return { [Symbol.asyncDispose]: () => Promise.resolve() };
  await put([...tags, 'impersonator']);
  return { [Symbol.asyncDispose]: () => put(tags) };
}
