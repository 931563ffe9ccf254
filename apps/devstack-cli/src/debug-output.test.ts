import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

test('DEBUG reaches no driver: with it, ioredis prints the password that it logs in with', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'devstack-debug-'));
  try {
    await cp(new URL('../bin.js', import.meta.url), join(folder, 'bin.js'));
    await writeFile(join(folder, 'package.json'), '{"type":"module","version":"0.0.0"}');
    await mkdir(join(folder, 'dist'));
    // What a driver does when it is loaded.
    await writeFile(
      join(folder, 'dist/main.js'),
      `const seen = process.env.DEBUG;
export const main = async (argv) => console.log(JSON.stringify({ seen: seen ?? null, argv }));`,
    );
    const { stdout } = await promisify(execFile)(process.execPath, [join(folder, 'bin.js'), 'status'], {
      env: { ...process.env, DEBUG: '*' },
    });
    expect(JSON.parse(stdout)).toEqual({ seen: null, argv: ['status'] });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
