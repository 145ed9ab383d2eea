import { defineConfig } from 'vitest/config';

// One run for the whole house; `--project unit` and so on select a kind of test.
const conditions = ['@gantry/source', 'node', 'default'];
// What Node itself would load: a second copy of graphql (it has two) would not know the first one's schema.
const resolve = {
  conditions,
  mainFields: ['main'],
  alias: [{ find: /^graphql$/, replacement: 'graphql/index.js' }],
};
const shared = { resolve, ssr: { resolve } };

/** A kind of test: where its files lie and how long one of them may take. */
const kind = (name: string, include: string[], test: object = {}) => ({
  ...shared,
  test: { name, include, exclude: ['**/node_modules/**', '**/dist/**'], ...test },
});

export default defineConfig({
  ...shared,
  test: {
    maxWorkers: 2,
    projects: [
      kind('unit', ['apps/*/{src,setup}/**/!(*.int).spec.{ts,tsx,mjs}', 'libs/*/src/**/!(*.int).spec.ts']),
      kind('integration', ['{apps,libs}/*/src/**/*.int.spec.ts'], {
        testTimeout: 60_000,
        hookTimeout: 120_000,
      }),
      kind('walls', ['test/walls/**/*.spec.ts'], { testTimeout: 120_000, hookTimeout: 120_000 }),
      kind('contract', ['test/contract/**/*.spec.ts'], { testTimeout: 60_000, hookTimeout: 120_000 }),
      kind('e2e', ['test/e2e/**/*.spec.ts'], {
        testTimeout: 300_000,
        hookTimeout: 600_000,
        fileParallelism: false,
        globalSetup: ['test/e2e/world.ts'],
      }),
      kind('faults', ['test/faults/**/*.spec.ts'], {
        testTimeout: 300_000,
        hookTimeout: 600_000,
        fileParallelism: false,
        globalSetup: ['test/faults/world.ts'],
      }),
    ],
  },
});
