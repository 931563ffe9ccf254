import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { fakeVault } from '../test/fake-vault.ts';

it('loads node-vault at the first call and not before', async () => {
  await using vault = await fakeVault(() => ({ json: { initialized: true, sealed: false } }));
  const script = `
    import { createRequire } from 'node:module';
    import { createVaultClient } from ${JSON.stringify(new URL('./index.ts', import.meta.url).href)};
    const loaded = () => Object.keys(createRequire(import.meta.url).cache).some((path) => path.includes('node-vault'));
    const client = createVaultClient({ address: process.argv[1] });
    const before = loaded();
    await client.health();
    console.log(JSON.stringify([before, loaded()]));
    // Idle connections keep no process alive: it ends here, without close().
  `;
  const argv = ['-C', '@devstack-core/source', '--input-type=module', '-e', script, vault.address];
  const { stdout } = await promisify(execFile)(process.execPath, argv, { timeout: 20_000 });
  expect(JSON.parse(stdout)).toEqual([false, true]);
});

it('says so when node-vault is not installed', async () => {
  const script = `
    import { registerHooks } from 'node:module';
    registerHooks({ resolve: (specifier, context, next) => { if (specifier === 'node-vault') throw new Error('missing'); return next(specifier, context); } });
    const { createVaultClient } = await import(${JSON.stringify(new URL('./index.ts', import.meta.url).href)});
    await createVaultClient({ address: 'http://127.0.0.1:1' }).health().catch((error) => console.log(JSON.stringify(error)));
  `;
  const argv = ['-C', '@devstack-core/source', '--input-type=module', '-e', script];
  const { stdout } = await promisify(execFile)(process.execPath, argv, { timeout: 20_000 });
  expect(JSON.parse(stdout)).toMatchObject({ code: 'VAULT_UNREACHABLE', details: { reason: 'NODE_VAULT_MISSING' } });
});
