import { configDefaults, defineConfig } from 'vitest/config'

/** Files of which the reduced suite takes nothing: the full counts, and what throws the whole engine over. */
const left = [
  ...(process.env.MSTDN_TEST_FULL === undefined
    ? ['moderation', 'setup', 'upgrade-downtime'].map(name => `test/e2e/compose/${name}.test.ts`)
    : []),
  ...(process.env.MSTDN_TEST_ENGINE === undefined ? ['test/e2e/compose/upgrade-engine.test.ts'] : []),
]

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: [...configDefaults.exclude, ...left],
    pool: 'forks',
    disableConsoleIntercept: true,
    testTimeout: 30_000,
    hookTimeout: 120_000,
  },
})
