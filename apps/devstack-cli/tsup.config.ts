import { fileURLToPath } from 'node:url';
import { defineConfig } from 'tsup';
// @boundaries-ignore the shared build settings are no package
import { library } from '../../configs/tooling/tsup.ts';

// Never called, and slow to load: docker-engine reaches ssh hosts through the ssh program and builds through compose, and vault-client
// gives node-vault an HTTP library of its own.
const unused = ['ssh2', '@grpc/grpc-js', '@grpc/proto-loader', 'protobufjs', 'axios'];
const standIn = (name: string): string =>
  fileURLToPath(new URL(`../../configs/tooling/bundle/${name}.js`, import.meta.url));

/** One folder of a few files: a command's start is the files that it reads, and a thousand small ones cost more than its work. */
export default defineConfig({
  ...library,
  // backup-crypto finds its thread's file beside itself.
  entry: {
    index: 'src/index.ts',
    main: 'src/main.ts',
    'openpgp-worker': '../../packages/data/backup-crypto/src/openpgp-worker.ts',
  },
  noExternal: [/./],
  removeNodeProtocol: false,
  // What drivers load where it is there.
  external: [
    ...['pg-native', 'cloudflare:sockets', 'kerberos', 'snappy', 'socks', 'aws4', 'gcp-metadata', 'cardinal'],
    ...['@mongodb-js/zstd', '@aws-sdk/credential-providers', 'mongodb-client-encryption'],
  ],
  esbuildOptions(options) {
    options.conditions = ['@devstack-core/source'];
    options.alias = {
      ...Object.fromEntries(unused.map((name) => [name, standIn('empty')])),
      'node:http': standIn('node-http'),
      cliui: standIn('cliui'),
    };
    options.define = { __dirname: 'import.meta.dirname', __filename: 'import.meta.filename' };
    options.legalComments = 'eof';
    // Not minified: a crash shows the line of the source that it happened in.
  },
  // CommonJS inside of the bundle asks for Node's own modules with require.
  banner: {
    js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
  },
});
