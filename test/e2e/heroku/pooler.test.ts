import { afterAll, beforeAll, expect, test } from 'vitest'
import { finish } from '../compose/bed/process.js'
import { type HerokuApp, startHerokuApp } from './bed.js'

let app: HerokuApp
beforeAll(async () => {
  app = await startHerokuApp({ version: '2.4.5', pooler: true, redis: false })
}, 600_000)
afterAll(() => app?.stop())

const psql = async (...statements: string[]) => {
  const words = [app.databaseUrl, '-XAt', ...statements.flatMap(text => ['-c', text])]
  return finish('psql', words, { env: { ...process.env, PGSSLMODE: 'require' } })
}

test('what belongs to a session does not outlive its transaction', async () => {
  const { stdout, stderr } = await psql('SELECT count(*) > 0 FROM statuses', 'LISTEN nothing', 'SELECT 1')
  expect(stdout, stderr).toBe('t\nLISTEN\n1\n')
  // Another client is given the same server session.
  expect((await psql('SELECT pg_listening_channels()')).stdout).toBe('nothing\n')
})

test('an app without Redis', () => {
  expect(app.redisUrl).toBeUndefined()
  expect(app.config()).not.toHaveProperty('REDIS_URL')
})
