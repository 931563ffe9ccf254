import { writeFile } from 'node:fs/promises';
import { defineConfig } from 'tsup';

/** A few files that need no node_modules: they are all that the image adds to the base. */
export default defineConfig({
  entry: { 'reference-api': 'src/main.ts', healthcheck: 'src/healthcheck.ts' },
  format: ['esm'],
  target: 'node24',
  platform: 'node',
  dts: false,
  sourcemap: false,
  clean: true,
  splitting: true,
  noExternal: [/./],
  // What drivers load where it is there.
  external: [
    ...['pg-native', 'cloudflare:sockets', 'kerberos', 'snappy', 'socks', 'aws4', 'gcp-metadata', 'cardinal'],
    ...['@mongodb-js/zstd', '@aws-sdk/credential-providers', 'mongodb-client-encryption'],
  ],
  esbuildOptions(options) {
    options.conditions = ['@devstack-core/source'];
    options.legalComments = 'none';
    // Small, and a stack trace still has names.
    options.minifyWhitespace = true;
    options.minifySyntax = true;
  },
  // Otherwise Node reads each file as CommonJS first.
  onSuccess: async () => {
    await writeFile('dist/package.json', '{ "type": "module" }\n');
  },
  // CommonJS inside of the bundle asks for Node's own modules with require, and for where it lies.
  banner: {
    js: [
      "import { createRequire as __createRequire } from 'node:module';",
      "import { dirname as __dirnameOf } from 'node:path';",
      "import { fileURLToPath as __pathOf } from 'node:url';",
      'const require = __createRequire(import.meta.url), __filename = __pathOf(import.meta.url), __dirname = __dirnameOf(__filename);',
    ].join(' '),
  },
});
