import { posix } from 'node:path';

/**
 * The layers of docs/adr and the one door of each third-party engine, as data. ESLint's own `no-restricted-imports` sees neither `import()`
 * nor how deep a file lies in its package, and most of our engines are imported lazily: hence one small rule over these tables.
 */

/** Third-party module → the only package that may import it. */
export const doors = {
  execa: 'command-runner',
  dockerode: 'docker-engine',
  'node-vault': 'vault-client',
  pg: 'database-connections',
  mysql2: 'database-connections',
  mongodb: 'database-connections',
  ioredis: 'database-connections',
  amqplib: 'database-connections',
  openpgp: 'backup-crypto',
  '@aws-sdk/client-s3': 'backup-store',
  '@aws-sdk/lib-storage': 'backup-store',
  '@peculiar/x509': 'certificates',
};

/** Third-party modules that only apps may import. */
export const appDoors = ['yargs', 'fastify'];

/** Domain library → the domain libraries that it may import. */
export const domainImports = {
  'service-secrets': ['vault-approle'],
  'service-init': ['vault-approle', 'credential-files'],
  'stack-lifecycle': ['vault-lifecycle', 'vault-approle', 'service-secrets', 'certificates', 'health-probe'],
  'backup-store': ['backup-crypto', 'backup-rotation'],
  'database-backup': ['backup-store', 'credential-files'],
  'backup-verification': ['backup-store', 'database-backup'],
  'disaster-recovery': ['backup-store', 'backup-verification', 'database-backup', 'vault-lifecycle', 'stack-lifecycle'],
  // What a stack is, joined with what a backup is: the one library that knows both.
  'stack-backup': [
    'backup-crypto',
    'backup-rotation',
    'backup-store',
    'backup-verification',
    'database-backup',
    'disaster-recovery',
    'service-secrets',
    'stack-lifecycle',
    'vault-approle',
    'vault-lifecycle',
  ],
  'blue-green': ['traffic-switch'],
};

const scope = '@devstack-core/';

/** Where a file lives: its package's folder, name and layer; undefined outside packages/ and apps/. */
function locate(path) {
  const match = /(?:^|\/)(packages\/([^/]+)\/([^/]+)|apps\/([^/]+))\//.exec(path);
  if (match === null) return undefined;
  const [, root, group, library, app] = match;
  return { root, name: library ?? app, layer: app === undefined ? (group === 'core' ? 'core' : 'domain') : 'app' };
}

/** Why this import may not stand in that file, or undefined. `layers` maps each package of the workspace to its layer. */
function breach(file, source, layers, isTest) {
  const own = locate(file);
  if (own === undefined) return undefined;
  if (source.startsWith('.')) {
    const target = posix.normalize(posix.join(posix.dirname(file.slice(file.lastIndexOf(own.root))), source));
    return target.startsWith(`${own.root}/`)
      ? undefined
      : `'${source}' leaves the package by a relative path: import the other package by its name, so that it can be installed alone.`;
  }
  if (source.startsWith(scope)) {
    const [name, ...deep] = source.slice(scope.length).split('/');
    // A test may use what another package's tests are made of, where that package exports it for them.
    const isForTests = isTest && deep[0] === 'test';
    if (deep.length > 0 && !isForTests && deep.join('/') !== 'testing' && deep.join('/') !== 'package.json')
      return `'${source}' is a deep import: a package has one entry point, '${scope}${name}'.`;
    return layerBreach(own, name, layers[name], isTest);
  }
  const module = source.startsWith('@') ? source.split('/').slice(0, 2).join('/') : source.split('/')[0];
  const door = doors[module];
  if (door !== undefined && door !== own.name)
    return `'${module}' has one door: import '${scope}${door}' instead, which wraps its errors and keeps secrets out of them.`;
  if (appDoors.includes(module) && own.layer !== 'app')
    return `'${module}' is for apps only: libraries take options and return values.`;
  return undefined;
}

function layerBreach(own, name, layer, isTest) {
  if (layer === undefined || name === own.name) return undefined;
  if (layer === 'app')
    return `${own.layer} '${own.name}' must not import the app '${name}': imports point down only, app → domain → core.`;
  if (own.layer === 'core' && layer === 'domain')
    return `core '${own.name}' must not import the domain library '${name}': core knows no domain.`;
  // A test may put another domain library beside the one it tests; the published code may not.
  if (own.layer === 'domain' && layer === 'domain' && !isTest && !(domainImports[own.name] ?? []).includes(name))
    return `domain '${own.name}' may import ${listed(domainImports[own.name])}, not '${name}': take it as an option, or change the table in configs/tooling/eslint-boundaries.js with a reason.`;
  return undefined;
}

function listed(names = []) {
  return names.length === 0
    ? 'no other domain library'
    : `only ${names.map((name) => `'${name}'`).join(', ')} of the domain libraries`;
}

const rule = {
  meta: {
    type: 'problem',
    docs: { description: 'imports point down, one door per engine, no way past a package’s entry point' },
    schema: [
      { type: 'object', properties: { layers: { type: 'object' } }, required: ['layers'], additionalProperties: false },
    ],
    messages: { breach: '{{reason}}' },
  },
  create(context) {
    const file = context.filename.replaceAll('\\', '/');
    const isTest = /(\.test\.ts$|\/test\/)/.test(file);
    const check = (node) => {
      const source = node?.type === 'Literal' && typeof node.value === 'string' ? node.value : undefined;
      if (source === undefined) return;
      const reason = breach(file, source, context.options[0].layers, isTest);
      if (reason !== undefined) context.report({ node, messageId: 'breach', data: { reason } });
    };
    return {
      ImportDeclaration: (node) => check(node.source),
      ImportExpression: (node) => check(node.source),
      ExportAllDeclaration: (node) => check(node.source),
      ExportNamedDeclaration: (node) => check(node.source),
      TSImportType: (node) => check(node.source ?? node.argument?.literal),
      'CallExpression[callee.name="require"]': (node) => check(node.arguments[0]),
    };
  },
};

export default { meta: { name: 'devstack' }, rules: { boundaries: rule } };
