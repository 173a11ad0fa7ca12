import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { cli } from '../../support/cli.js'
import { type Stack, startStack } from '../compose/bed/bed.js'
import { must } from '../compose/bed/process.js'
import { type HerokuApp, startHerokuApp } from './bed.js'

vi.setConfig({ testTimeout: 120_000 })

let stack: Stack
let app: HerokuApp
let url: string
beforeAll(async () => {
  stack = await startStack({ version: '4.5.3', variant: 'lean', streaming: false })
  const format = '{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}'
  const addresses = await must('docker', ['inspect', '--format', format, await stack.containerOf('db')])
  url = `postgres://postgres@${addresses.trim().split(' ')[0]}:5432/postgres?sslmode=disable`
  app = await startHerokuApp({ version: '4.5.3', migrate: false, redis: false, databaseUrl: url })
}, 300_000)
afterAll(() => Promise.all([stack?.stop(), app?.stop()]))

test.each([['--exact'], []])(
  'rows %s is the same by compose, on Heroku, by URL and inside a dyno',
  async (...flags) => {
    const rows = async (env: NodeJS.ProcessEnv, cwd?: string) => {
      const { stdout, stderr, exitCode } = await cli(['rows', '--json', ...flags], { env, ...(cwd ? { cwd } : {}) })
      expect(exitCode, stderr).toBe(0)
      const { total, tables } = JSON.parse(stdout)
      return { total, tables }
    }
    const byCompose = await rows({}, stack.projectDir)
    expect(byCompose.tables.length).toBeGreaterThan(5)
    expect(await rows({ ...app.env, HEROKU_APP: app.app })).toEqual(byCompose)
    expect(await rows({ MSTDN_OPS_DATABASE_URL: url })).toEqual(byCompose)
    expect(await rows({ DYNO: 'scheduler.1', DATABASE_URL: url, PATH: process.env.PATH })).toEqual(byCompose)
  },
)

test('rows on Heroku needs no call of the client and no one-off', async () => {
  const calls = (await app.cliCalls()).length
  const { exitCode } = await cli(['rows'], { env: { ...app.env, HEROKU_APP: app.app } })
  expect(exitCode).toBe(0)
  expect(await app.cliCalls()).toHaveLength(calls)
  expect(app.runs).toEqual([])
})
