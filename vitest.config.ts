import { defineConfig } from 'vitest/config';

/**
 * Three rings: pure logic; a real API server or Postgres; the whole on a real cluster, which `upgrade` replaces and puts back; and the tools
 * that give one, which end the cluster that runs. Files say which by their place.
 */
export default defineConfig({
  test: {
    projects: [
      { test: { name: 'unit', include: ['*/test/**/*.test.ts'], exclude: ['test/**', '**/node_modules/**'] } },
      {
        test: {
          name: 'integration',
          include: ['test/integration/**/*.test.ts', 'test/conformance/**/*.test.ts'],
          setupFiles: ['test/harness/statements.ts'],
          testTimeout: 60_000,
          hookTimeout: 120_000,
          maxWorkers: 2,
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          testTimeout: 120_000,
          hookTimeout: 180_000,
          fileParallelism: false,
        },
      },
      {
        test: {
          name: 'upgrade',
          include: ['test/upgrade/**/*.test.ts'],
          testTimeout: 120_000,
          hookTimeout: 180_000,
          fileParallelism: false,
        },
      },
      {
        test: {
          name: 'cluster',
          include: ['test/cluster/**/*.test.ts'],
          testTimeout: 120_000,
          hookTimeout: 60_000,
          fileParallelism: false,
        },
      },
    ],
  },
});
