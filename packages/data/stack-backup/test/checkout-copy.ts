import { cp, mkdtemp, readdir, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkout } from '@devstack-core/stack-lifecycle/test/test-stack';

/** A checkout whose configuration a recovery may replace: that of this one is somebody's work. */
export async function checkoutCopy(): Promise<{ readonly root: string } & AsyncDisposable> {
  const root = await mkdtemp(join(tmpdir(), 'devstack-sb-root-'));
  const own = ['configs', 'infrastructure'];
  for (const name of own) await cp(join(checkout, name), join(root, name), { recursive: true });
  for (const name of await readdir(checkout))
    if (!own.includes(name) && !name.startsWith('.')) await symlink(join(checkout, name), join(root, name));
  return { root, [Symbol.asyncDispose]: () => rm(root, { recursive: true, force: true }) };
}
