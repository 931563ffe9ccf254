import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { publint } from 'publint';
import { formatMessage } from 'publint/utils';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { startLocalRegistry, type LocalRegistry } from './local-registry.ts';
import { mustRun, runProgram, type ProgramResult } from './run-program.ts';
import { publishable, root, type Publishable } from './workspace.ts';

// What a user gets: each package is packed, published to a registry of its own, installed alone in an empty project, and its README
// example is run there. Nothing of this repository is in reach of that project.

let folder: string;
let registry: LocalRegistry | undefined;
let environment: NodeJS.ProcessEnv;
/** The tarball of each package, or why it has none: a broken package fails its own tests and those that need it. */
const tarballs = new Map<string, string | Error>();

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'devstack-packaging-'));
  const local = await startLocalRegistry(join(folder, 'registry'));
  registry = local;
  environment = userEnvironment(local.npmrc);
  await inTwos(publishable, async (item) => {
    tarballs.set(
      item.name,
      await packAndPublish(item).catch((error: unknown) => (error instanceof Error ? error : new Error(String(error)))),
    );
  });
});

afterAll(async () => {
  await registry?.[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

describe.each(publishable.map((item) => [item.name, item] as const))('%s', (name, item) => {
  it('has a package that publint and are-the-types-wrong accept', async () => {
    const tarball = packed(name);
    expect(await publintFindings(tarball)).toEqual([]);
    if (item.manifest.exports === undefined) return;
    const types = await areTheTypesWrong(tarball);
    expect(types.exitCode, types.stdout + types.stderr).toBe(0);
  });

  it('carries its licence and readme, and none of our sources, tests or workspace protocols', async () => {
    const listing = await mustRun('tar', ['-tzf', packed(name)], { cwd: folder });
    const files = listing.stdout
      .trim()
      .split('\n')
      .map((path) => path.replace(/^package\//, ''));
    expect(files).toEqual(expect.arrayContaining(['package.json', 'README.md', 'LICENSE']));
    expect(files.filter((file) => /(\.test\.|^src\/|^test\/|tsup\.config|\.env)/.test(file))).toEqual([]);
    const manifest = await mustRun('tar', ['-xzOf', packed(name), 'package/package.json'], { cwd: folder });
    expect(manifest.stdout).not.toMatch(/workspace:|catalog:|@devstack-core\/source/);
    expect(item.readme.split('\n').length, 'lines of README.md').toBeLessThanOrEqual(81);
  });

  it('installs alone and does what its README shows', async () => {
    packed(name);
    const project = join(folder, 'projects', name);
    await mkdir(project, { recursive: true });
    await writeFile(join(project, 'package.json'), '{ "private": true, "type": "module" }\n');
    await mustRun(
      'npm',
      ['install', '--no-audit', '--no-fund', '--prefer-offline', `${name}@${item.manifest.version}`],
      { cwd: project, env: environment },
    );
    for (const bin of binaries(item)) {
      const answer = await mustRun(join(project, 'node_modules/.bin', bin), ['--version'], {
        cwd: project,
        env: environment,
      });
      expect(answer.stdout).toContain(item.manifest.version);
    }
    if (item.example === undefined) {
      expect(binaries(item), 'a library needs an example in the first ts block of its README').not.toEqual([]);
      return;
    }
    await writeFile(join(project, 'example.ts'), item.example);
    const run = await runProgram(process.execPath, ['example.ts'], {
      cwd: project,
      env: environment,
      timeoutMs: 120_000,
    });
    expect(run.exitCode, `${item.example}\n--- printed:\n${run.stdout}${run.stderr}`).toBe(0);
  });
});

describe('the checks themselves', () => {
  it('reject a package whose exports name files that it does not have', async () => {
    const broken = join(folder, 'broken');
    await mkdir(broken, { recursive: true });
    const exports = { '.': './index.js', './missing': { types: './missing.d.ts', default: './missing.js' } };
    await writeFile(
      join(broken, 'package.json'),
      JSON.stringify({ name: 'broken', version: '1.0.0', type: 'module', exports }),
    );
    await writeFile(join(broken, 'index.js'), 'export const x = 1;\n');
    await writeFile(join(broken, 'index.d.ts'), 'export declare const x: number;\n');
    await mustRun('npm', ['pack', '--pack-destination', folder], { cwd: broken, env: environment });
    const tarball = join(folder, 'broken-1.0.0.tgz');
    expect((await publintFindings(tarball)).join('\n')).toMatch(/missing\.js.*does not exist/);
    expect((await areTheTypesWrong(tarball)).exitCode).not.toBe(0);
  });
});

async function publintFindings(tarball: string): Promise<readonly string[]> {
  const bytes = await readFile(tarball);
  const { messages, pkg } = await publint({ level: 'suggestion', pack: { tarball: new Uint8Array(bytes).buffer } });
  return messages.map((message) => formatMessage(message, pkg, { color: false }) ?? message.code);
}

function areTheTypesWrong(tarball: string): Promise<ProgramResult> {
  return runProgram('pnpm', ['exec', 'attw', tarball, '--profile', 'esm-only', '--no-emoji', '--no-color'], {
    cwd: root,
  });
}

async function packAndPublish(item: Publishable): Promise<string> {
  const destination = join(folder, 'tarballs', item.name);
  await mkdir(destination, { recursive: true });
  await mustRun('pnpm', ['pack', '--pack-destination', destination], { cwd: item.folder });
  const [tarball] = await readdir(destination);
  if (tarball === undefined) throw new Error(`${item.name}: pnpm pack left no tarball`);
  await mustRun('npm', ['publish', '--tag', 'latest', join(destination, tarball)], { cwd: folder, env: environment });
  return join(destination, tarball);
}

function packed(name: string): string {
  const tarball = tarballs.get(name);
  if (typeof tarball === 'string') return tarball;
  throw tarball ?? new Error(`${name} was not packed`);
}

function binaries(item: Publishable): readonly string[] {
  const { bin, name } = item.manifest;
  if (bin === undefined) return [];
  return typeof bin === 'string' ? [name.replace(/^@[^/]+\//, '')] : Object.keys(bin);
}

/** What npm and the example see: the machine's settings, our scope's registry, nothing that pnpm or vitest set for this process. */
function userEnvironment(npmrc: string): NodeJS.ProcessEnv {
  const own = Object.entries(process.env).filter(
    ([name]) => !/^(npm_|VITEST|NODE_OPTIONS|NODE_ENV|INIT_CWD|PNPM_)/i.test(name),
  );
  return { ...Object.fromEntries(own), NPM_CONFIG_USERCONFIG: npmrc, NPM_CONFIG_UPDATE_NOTIFIER: 'false' };
}

async function inTwos<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const queue = items.values();
  await Promise.all(
    [0, 1].map(async () => {
      for (const item of queue) await work(item);
    }),
  );
}
