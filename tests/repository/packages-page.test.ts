import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const root = fileURLToPath(new URL('../../', import.meta.url));

interface Manifest {
  readonly name: string;
  readonly description: string;
  readonly private?: boolean;
}

function rows(folder: string): readonly string[] {
  return readdirSync(`${root}${folder}`)
    .toSorted()
    .map((name) => ({
      name,
      manifest: JSON.parse(readFileSync(`${root}${folder}/${name}/package.json`, 'utf8')) as Manifest,
    }))
    .filter(({ manifest }) => manifest.private !== true)
    .map(({ name, manifest }) => `| [\`${name}\`](../${folder}/${name}) | ${manifest.description} |`);
}

// Run with --update to write the page anew after a package was added.
test('the page of packages is made from their descriptions', async () => {
  const sections = [
    ['Core: what every domain needs', 'packages/core'],
    ['Secrets', 'packages/secrets'],
    ['Operations', 'packages/operations'],
    ['Apps', 'apps'],
  ] as const;
  const text = sections.map(
    ([title, folder]) => `## ${title}\n\n| package | does |\n| --- | --- |\n${rows(folder).join('\n')}\n`,
  );
  const page = `# The packages\n\nEach is \`@devstack-core/<name>\` and builds, tests, packs and installs alone. Imports point down: apps, then secrets and operations, then core.\nMade from the packages' own descriptions by a test.\n\n${text.join('\n')}`;
  await expect(page).toMatchFileSnapshot(`${root}docs/packages.md`);
});
