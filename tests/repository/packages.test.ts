import { execFileSync } from 'node:child_process';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

import { describe, expect, it } from 'vitest';

// What is the same in every package, so that a reader of one knows them all.

const root = new URL('../..', import.meta.url).pathname.replace(/\/$/, '');
const folders = globSync(['packages/*/*/package.json', 'apps/*/package.json'], { cwd: root })
  .map((path) => dirname(path))
  .toSorted();

interface Manifest {
  readonly name: string;
  readonly private?: boolean;
  readonly exports?: Readonly<Record<string, unknown>>;
  readonly publishConfig?: { readonly exports?: Readonly<Record<string, unknown>> };
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
}

const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const manifestOf = (folder: string): Manifest => JSON.parse(read(`${folder}/package.json`)) as Manifest;
const published = folders.filter((folder) => manifestOf(folder).private !== true);

describe.each(folders)('%s', (folder) => {
  const manifest = manifestOf(folder);

  it('is named after its folder and takes every version from the catalog', () => {
    expect(manifest).toMatchObject({
      name: `@devstack-core/${basename(folder)}`,
      type: 'module',
      license: 'MIT',
      engines: { node: '>=24' },
    });
    expect(
      Object.entries({ ...manifest.dependencies, ...manifest.devDependencies }).filter(
        ([, range]) => !/^(catalog:|workspace:[\^*])$/.test(range),
      ),
    ).toEqual([]);
  });

  it('has its layer as a tag', () => {
    const layer = folder.startsWith('apps/') ? 'app' : folder.startsWith('packages/core/') ? 'core' : 'domain';
    expect(JSON.parse(read(`${folder}/turbo.json`))).toMatchObject({ extends: ['//'], tags: [layer] });
  });
});

describe.each(published)('%s, as published', (folder) => {
  const manifest = manifestOf(folder);

  it('shows its sources to the workspace and only its build to users', () => {
    if (manifest.exports === undefined) return;
    expect(manifest.exports['.']).toMatchObject({
      '@devstack-core/source': './src/index.ts',
      types: './dist/index.d.ts',
      default: './dist/index.js',
    });
    expect(manifest.publishConfig).toMatchObject({
      access: 'public',
      exports: { '.': { types: './dist/index.d.ts', default: './dist/index.js' } },
    });
    expect(JSON.stringify(manifest.publishConfig)).not.toContain('/source');
    expect(manifest).toMatchObject({ repository: { directory: folder } });
  });

  it('lists every error code of src/errors.ts in its README', () => {
    const path = join(root, folder, 'src/errors.ts');
    if (!existsSync(path)) return;
    const codes = [...readFileSync(path, 'utf8').matchAll(/:\s*'([A-Z][A-Z0-9]+(?:_[A-Z0-9]+)+)'/g)].map(
      (match) => match[1] ?? '',
    );
    const readme = read(`${folder}/README.md`);
    expect(codes.filter((code) => !readme.includes(code))).toEqual([]);
  });
});

describe('the repository', () => {
  const tracked = execFileSync('git', ['ls-files', '-z'], { cwd: root, encoding: 'utf8' })
    .split('\0')
    .filter((path) => path !== '' && existsSync(join(root, path)));

  it('holds no file that a secret, a build or a machine left behind', () => {
    expect(
      tracked.filter((path) =>
        /(^|\/)(\.env|keys\.json|root-token|role-id|secret-id|node_modules|dist|\.npmrc|[^/]*\.(tgz|log|pem|key))$/.test(
          path,
        ),
      ),
    ).toEqual([]);
  });

  it('names no host of a package registry: the machine’s own configuration does', () => {
    const hosts = [
      'registry.npmjs',
      'deb.debian',
      'security.debian',
      'proxy.golang',
      'files.pythonhosted',
      'repo1.maven',
    ].map((host) => `${host}.`);
    const own = basename(import.meta.filename);
    const sources = tracked.filter((path) => !path.endsWith(own) && !/(pnpm-lock\.yaml|go\.sum|\.svg)$/.test(path));
    expect(sources.filter((path) => hosts.some((host) => read(path).includes(host)))).toEqual([]);
  });
});
