import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'tsup';

const standIn = (name: string): string =>
  fileURLToPath(new URL(`../../configs/tooling/bundle/${name}.js`, import.meta.url));

/**
 * One folder that needs no node_modules: it is copied into every image. What only one engine needs is a chunk of its own,
 * so that the start of the others does not read it.
 */
export default defineConfig({
  entry: { 'container-init': 'src/entry.ts', main: 'src/main.ts', warm: 'src/warm.ts' },
  format: ['esm'],
  target: 'node24',
  platform: 'node',
  dts: false,
  sourcemap: false,
  clean: true,
  splitting: true,
  minify: true,
  noExternal: [/./],
  removeNodeProtocol: false,
  esbuildOptions(options) {
    options.conditions = ['@devstack-core/source'];
    // vault-client gives node-vault an HTTP library of its own, so that axios is never called.
    options.alias = { axios: standIn('empty'), 'node:http': standIn('node-http') };
    options.legalComments = 'none';
  },
  // Otherwise Node reads each file as CommonJS first.
  onSuccess: async () => {
    await writeFile('dist/package.json', '{ "type": "module" }\n');
  },
  // CommonJS inside of the bundle asks for Node's own modules with require.
  banner: {
    js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
  },
});
