import { readdirSync } from 'node:fs';

import js from '@eslint/js';
import { defineConfig, globalIgnores } from 'eslint/config';
import node from 'eslint-plugin-n';
import tseslint from 'typescript-eslint';

import devstack from './configs/tooling/eslint-boundaries.js';

const folders = (path) =>
  readdirSync(new URL(path, import.meta.url), { withFileTypes: true }).filter((entry) => entry.isDirectory());

/** Each package of the workspace and its layer, from the folder it lies in. */
const layers = Object.fromEntries([
  ...folders('./packages/').flatMap((group) =>
    folders(`./packages/${group.name}/`).map(({ name }) => [name, group.name === 'core' ? 'core' : 'domain']),
  ),
  ...folders('./apps/').map(({ name }) => [name, 'app']),
]);

const tests = ['**/*.test.ts', '**/test/**/*.ts', 'tests/**/*.ts'];
const configurations = ['**/tsup.config.ts', '**/vitest.config.ts', 'configs/tooling/**', '*.config.js'];

export default defineConfig(
  globalIgnores(['**/dist/', '**/coverage/', '.tools/', '.cache/', 'reports/', 'bench/reports/', 'tests/fixtures/']),
  js.configs.recommended,
  { files: ['**/*.js', '**/*.mjs'], languageOptions: node.configs['flat/recommended-module'].languageOptions },
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked, tseslint.configs.stylisticTypeChecked],
    // One program for all: a program for each package would read the drivers' types twenty times.
    languageOptions: {
      parserOptions: { project: 'configs/tooling/tsconfig.eslint.json', tsconfigRootDir: import.meta.dirname },
    },
    rules: {
      '@typescript-eslint/consistent-type-imports': [
        'error',
        { fixStyle: 'inline-type-imports', disallowTypeAnnotations: false },
      ],
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      '@typescript-eslint/explicit-module-boundary-types': 'error',
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      '@typescript-eslint/no-unused-vars': [
        'error',
        { argsIgnorePattern: '^_', varsIgnorePattern: '^_', caughtErrorsIgnorePattern: '^_' },
      ],
      '@typescript-eslint/no-confusing-void-expression': [
        'error',
        { ignoreArrowShorthand: true, ignoreVoidOperator: true },
      ],
      // tsconfig's noPropertyAccessFromIndexSignature is off; both ways of reading a record are fine.
      '@typescript-eslint/dot-notation': 'off',
      // `async` without `await` turns a throw into a rejection, which is what a promise's reader expects.
      '@typescript-eslint/require-await': 'off',
      // Terminal escapes are looked for on purpose.
      'no-control-regex': 'off',
      // isolatedDeclarations wants the type of an export written down.
      '@typescript-eslint/no-inferrable-types': 'off',
      // A type parameter that appears once documents what a caller asserts about foreign data: query<Row>(), request<T>().
      '@typescript-eslint/no-unnecessary-type-parameters': 'off',
    },
  },
  {
    files: ['packages/**/*.ts', 'apps/**/*.ts'],
    ignores: configurations,
    plugins: { devstack },
    rules: { 'devstack/boundaries': ['error', { layers }] },
  },
  {
    // Libraries return, apps print: options in, values and events out.
    files: ['packages/**/*.ts'],
    ignores: [...tests, ...configurations],
    plugins: { n: node },
    rules: {
      'no-console': 'error',
      'n/no-process-env': 'error',
      'n/no-process-exit': 'error',
      'no-restricted-properties': [
        'error',
        { object: 'process', property: 'argv', message: 'Libraries take options; only apps read the command line.' },
        { object: 'process', property: 'stdout', message: 'Libraries return values and events; only apps print.' },
        { object: 'process', property: 'stderr', message: 'Libraries return values and events; only apps print.' },
        { object: 'process', property: 'exitCode', message: 'Libraries throw; only apps decide about exit codes.' },
      ],
    },
  },
  {
    files: ['apps/**/*.ts'],
    ignores: tests,
    rules: { 'no-console': 'error' },
  },
  {
    files: ['packages/**/*.ts', 'apps/**/*.ts', 'bench/**/*.ts', 'tests/**/*.ts'],
    ignores: configurations,
    rules: {
      'no-restricted-syntax': [
        'error',
        {
          selector: 'ExportDefaultDeclaration',
          message: 'Named exports only: a name that is imported can be searched for.',
        },
        {
          selector: 'ExportSpecifier[exported.name="default"]',
          message: 'Named exports only: a name that is imported can be searched for.',
        },
      ],
    },
  },
  {
    files: ['**/src/index.ts'],
    ignores: ['apps/**'],
    rules: {
      'no-restricted-syntax': [
        'error',
        {
          selector: 'Program > :not(ExportNamedDeclaration[source], ExportAllDeclaration)',
          message: 'index.ts is a table of contents: re-exports only.',
        },
      ],
    },
  },
  {
    files: tests,
    rules: {
      '@typescript-eslint/explicit-module-boundary-types': 'off',
      '@typescript-eslint/no-empty-function': 'off',
      '@typescript-eslint/unbound-method': 'off',
    },
  },
  {
    files: ['**/tsup.config.ts', 'configs/tooling/**/*.ts'],
    extends: [tseslint.configs.disableTypeChecked],
    languageOptions: { parserOptions: { project: false } },
  },
);
