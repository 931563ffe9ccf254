import { defineConfig } from 'vitest/config';

// The level of a test is in its file name. Workspace packages resolve to their sources, so no test needs a build
// (end-to-end tests run the built apps and say so).
const source = {
  resolve: { conditions: ['@devstack-core/source'] },
  ssr: { resolve: { conditions: ['@devstack-core/source'] } },
};
const ignored = ['**/node_modules/**', '**/dist/**', '**/.tools/**'];

export default defineConfig({
  ...source,
  test: {
    allowOnly: !process.env['CI'],
    coverage: {
      provider: 'v8',
      // A failing test must not hide what the others cover.
      reportOnFailure: true,
      include: ['packages/*/*/src/**/*.ts', 'src/**/*.ts'],
      exclude: ['**/*.test.ts', '**/index.ts'],
      reporter: ['text-summary', 'json-summary', 'lcov'],
    },
    projects: [
      {
        ...source,
        test: {
          name: 'unit',
          include: ['**/*.test.ts'],
          exclude: [...ignored, '**/*.integration.test.ts', '**/*.e2e.test.ts'],
          // Beside the integration tests and their containers, a small machine is slow.
          testTimeout: 30_000,
        },
      },
      {
        ...source,
        test: {
          name: 'integration',
          include: ['**/*.integration.test.ts'],
          exclude: ignored,
          testTimeout: 60_000,
          hookTimeout: 180_000,
        },
      },
      {
        ...source,
        test: {
          name: 'e2e',
          include: ['**/*.e2e.test.ts'],
          exclude: ignored,
          testTimeout: 300_000,
          hookTimeout: 600_000,
        },
      },
    ],
  },
});
