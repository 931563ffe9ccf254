import { existsSync, globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The root of the repository. */
export const root: string = new URL('../..', import.meta.url).pathname.replace(/\/$/, '');

/** The parts of a package.json that publishing depends on. */
export interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly private?: boolean;
  readonly bin?: string | Readonly<Record<string, string>>;
  readonly exports?: Readonly<Record<string, unknown>>;
  readonly dependencies?: Readonly<Record<string, string>>;
}

/** A package or app of the workspace that is published. */
export interface Publishable {
  readonly name: string;
  readonly folder: string;
  readonly manifest: Manifest;
  readonly readme: string;
  /** The first ```ts block of the README: the example that must run as it is. */
  readonly example: string | undefined;
}

/** Every package and app that is not private, in the order of their folders. */
export const publishable: readonly Publishable[] = globSync(['packages/*/*/package.json', 'apps/*/package.json'], {
  cwd: root,
})
  .toSorted()
  .flatMap((path): readonly Publishable[] => {
    const folder = join(root, path, '..');
    const manifest = JSON.parse(readFileSync(join(root, path), 'utf8')) as Manifest;
    if (manifest.private === true) return [];
    const readme = existsSync(join(folder, 'README.md')) ? readFileSync(join(folder, 'README.md'), 'utf8') : '';
    return [{ name: manifest.name, folder, manifest, readme, example: /^```ts\n([\s\S]*?)^```$/m.exec(readme)?.[1] }];
  });
