import { writeFile } from 'node:fs/promises';
import { defineConfig } from 'tsup';

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
  esbuildOptions(options) {
    options.conditions = ['@devstack-core/source'];
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
