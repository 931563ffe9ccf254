import { ESLint, type Linter } from 'eslint';
import { describe, expect, it, vi } from 'vitest';

// The first file of a package has the compiler read the whole of it.
vi.setConfig({ testTimeout: 120_000 });

// With CI=true the parser would take each file from the disk, once, whatever text it is given here.
vi.stubEnv('TSESTREE_SINGLE_RUN', 'false');

const eslint = new ESLint({ cwd: new URL('../..', import.meta.url).pathname });

/** What the repository's own configuration says about this text as a file of the repository. */
async function findings(file: string, text: string): Promise<readonly Linter.LintMessage[]> {
  const [result] = await eslint.lintText(text, { filePath: file });
  const messages = result?.messages ?? [];
  // A text that could not be parsed was not judged.
  expect(messages.filter((message) => message.fatal === true)).toEqual([]);
  return messages;
}

// Existing files: the typed rules need them to be part of a project.
const coreFile = 'packages/core/errors/src/devstack-error.ts';
const coreTest = 'packages/core/redaction/src/redact-stream.test.ts';
const domainFile = 'packages/secrets/service-secrets/src/index.ts';
const operationsFile = 'packages/operations/stack-lifecycle/src/errors.ts';
const appFile = 'apps/devstack-cli/src/index.ts';

const breaches: readonly [title: string, file: string, text: string, reason: RegExp][] = [
  ['core imports a domain library', coreFile, "import '@devstack-core/vault-approle';", /core knows no domain/],
  ['core imports an app', coreFile, "import '@devstack-core/devstack-cli';", /imports point down only/],
  ['a domain library imports an app', domainFile, "import '@devstack-core/reference-api';", /imports point down only/],
  [
    'a domain library imports one that the table does not name',
    domainFile,
    "import '@devstack-core/vault-lifecycle';",
    /only 'vault-approle'/,
  ],
  [
    'a domain library loads another one lazily',
    operationsFile,
    "export const load = () => import('@devstack-core/credential-files');",
    /may import only/,
  ],
  [
    'a type comes from where no value may come from',
    coreFile,
    "export type Role = import('@devstack-core/vault-approle').RoleDefinition;",
    /core knows no domain/,
  ],
  ['a re-export crosses the layers', coreFile, "export * from '@devstack-core/vault-approle';", /core knows no domain/],
  ['a relative import leaves the package', coreFile, "import '../../redaction/src/index.ts';", /leaves the package/],
  [
    'an import goes past the entry point',
    operationsFile,
    "import '@devstack-core/vault-client/src/errors.ts';",
    /deep import/,
  ],
  ['execa outside command-runner', operationsFile, "import { execa } from 'execa';", /one door.*command-runner/],
  ['dockerode outside docker-engine', operationsFile, "import Docker from 'dockerode';", /one door.*docker-engine/],
  ['node-vault outside vault-client', domainFile, "import vault from 'node-vault';", /one door.*vault-client/],
  [
    'a driver outside database-connections, loaded lazily',
    operationsFile,
    "export const pg = () => import('pg');",
    /one door.*database-connections/,
  ],
  ['a subpath of a driver', operationsFile, "import 'mysql2/promise';", /one door.*database-connections/],
  ['a driver in a test', coreTest, "import 'mongodb';", /one door.*database-connections/],
  ['a driver in an app', appFile, "import 'ioredis';", /one door.*database-connections/],
  ['amqplib outside database-connections', domainFile, "import 'amqplib';", /one door.*database-connections/],
  ['openpgp outside backup-crypto', domainFile, "import 'openpgp';", /one door.*backup-crypto/],
  ['yargs below the apps', operationsFile, "import 'yargs/helpers';", /for apps only/],
];

const habits: readonly [title: string, file: string, text: string, rule: string][] = [
  ['a library prints', coreFile, "console.log('x');", 'no-console'],
  ['a library exits', coreFile, 'process.exit(1);', 'n/no-process-exit'],
  [
    'a library reads the environment',
    coreFile,
    "export const home: string | undefined = process.env['HOME'];",
    'n/no-process-env',
  ],
  [
    'a library reads the command line',
    coreFile,
    'export const words: readonly string[] = process.argv;',
    'no-restricted-properties',
  ],
  ['a library writes to the terminal', coreFile, "process.stderr.write('x');", 'no-restricted-properties'],
  ['a default export', coreFile, 'export default 1;', 'no-restricted-syntax'],
  ['logic in an index', 'packages/core/errors/src/index.ts', 'export const x = 1;', 'no-restricted-syntax'],
  ['any', coreFile, 'export const x: any = 1;', '@typescript-eslint/no-explicit-any'],
  [
    'a non-null assertion',
    coreFile,
    'export const x = (y: string | null): string => y!;',
    '@typescript-eslint/no-non-null-assertion',
  ],
  ['a floating promise', coreFile, 'Promise.resolve(1);', '@typescript-eslint/no-floating-promises'],
];

describe('the lint configuration', { timeout: 60_000 }, () => {
  it.each(breaches)('rejects with a reason: %s', async (_title, file, text, reason) => {
    const found = await findings(file, text);
    expect(
      found.filter((message) => message.ruleId === 'devstack/boundaries').map((message) => message.message),
    ).toEqual([expect.stringMatching(reason) as string]);
  });

  it.each(habits)('rejects %s', async (_title, file, text, rule) => {
    const found = await findings(file, text);
    expect(found.map((message) => message.ruleId)).toContain(rule);
  });

  it.each([
    ['the table allows it', domainFile, "import '@devstack-core/vault-approle';"],
    ['core imports core', 'packages/core/redaction/src/secret.ts', "import '@devstack-core/errors';"],
    ['a relative import stays inside', 'packages/core/redaction/src/secret.ts', "import './mask.ts';"],
    ['an app wires domain libraries', appFile, "import '@devstack-core/stack-lifecycle';"],
    ['an app takes yargs', appFile, "import 'yargs';"],
    ['the door itself', 'packages/core/command-runner/src/run.ts', "import 'execa';"],
    [
      'a test puts two domain libraries together',
      'packages/operations/health-probe/src/probe.test.ts',
      "import '@devstack-core/vault-lifecycle';",
    ],
  ])('accepts: %s', async (_title, file, text) => {
    const found = await findings(file, text);
    expect(found.filter((message) => message.ruleId === 'devstack/boundaries')).toEqual([]);
  });
});
