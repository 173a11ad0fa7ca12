import fc from 'fast-check'
import { afterEach, describe, expect, test } from 'vitest'
import { DataApi, dataUrlOf } from '../../../../src/lib/backends/heroku/data-api.js'
import { HerokuDatabases } from '../../../../src/lib/backends/heroku/databases.js'
import { shownTransfer, transferFrom } from '../../../../src/lib/backends/heroku/transfers.js'
import { Ledger } from '../../../../src/lib/ledger.js'
import { Output } from '../../../../src/lib/output.js'
import { type FakeApi, inTurn, refusing, startFakeApi } from './fake-api.js'

describe('where the data API is', () => {
  test.each([
    ['https://api.heroku.com', {}, 'https://api.data.heroku.com'],
    ['https://api.heroku.com', { HEROKU_DATA_HOST: '' }, 'https://api.data.heroku.com'],
    ['https://api.herokudev.com', { HEROKU_DATA_HOST: 'data.herokudev.com' }, 'https://data.herokudev.com'],
    ['https://api.heroku.com', { HEROKU_POSTGRESQL_HOST: 'pg.heroku.com' }, 'https://pg.heroku.com'],
    ['http://127.0.0.1:8080', { HEROKU_DATA_HOST: 'localhost' }, 'http://localhost:8080'],
    ['https://127.0.0.1:8443', { HEROKU_DATA_HOST: '127.0.0.1' }, 'https://127.0.0.1:8443'],
  ])('%s with %o: %s', (base, env, url) => {
    expect(dataUrlOf(base, env)).toBe(url)
  })

  test.each([
    ['https://api.heroku.com', 'evil.example'],
    ['https://api.heroku.com', 'heroku.com.evil.example'],
    ['https://api.heroku.com', 'data.heroku.com/@evil.example'],
    ['https://api.heroku.com', 'evil.example#.heroku.com'],
    // What the CLI does when HEROKU_HOST alone is set: the token would travel in the clear.
    ['http://127.0.0.1:8080', ''],
  ])('with HEROKU_HOST %s the token is not sent to "%s"', (base, host) => {
    const refused = expect.objectContaining({ code: 'heroku-data-host', exitCode: 2 })
    expect(() => dataUrlOf(base, { HEROKU_DATA_HOST: host })).toThrow(refused)
  })

  test('whatever the variable holds, the token goes to Heroku or stays on this machine', () => {
    const part = fc.constantFrom('heroku.com', '.heroku.com', '@', '#', '/', '?', ':', '\\', 'evil.example', ' ', '\n')
    fc.assert(
      fc.property(fc.array(part, { minLength: 1, maxLength: 5 }), parts => {
        const host = parts.join('')
        const url = (() => {
          try {
            return new URL(dataUrlOf('https://api.heroku.com', { HEROKU_DATA_HOST: host }))
          } catch {
            return undefined
          }
        })()
        if (url) expect(url.hostname).toMatch(/(^|\.)heroku\.com$/)
      }),
      { numRuns: process.env.MSTDN_TEST_FULL ? 10_000 : 300 },
    )
  })
})

describe('a transfer', () => {
  const dump = { uuid: 'u', num: 7, from_type: 'pg_dump', to_type: 'gof3r' }
  const over = { started_at: '2026-01-02T03:04:05Z', finished_at: '2026-01-02T03:05:05Z' }

  test.each([
    [{ ...dump }, 'b007', 'backup', 'running'],
    [{ ...dump, schedule: { uuid: 's' }, ...over, succeeded: true }, 'a007', 'backup', 'succeeded'],
    [{ ...dump, num: 1234, ...over, succeeded: false }, 'b1234', 'backup', 'failed'],
    [{ ...dump, ...over, succeeded: null }, 'b007', 'backup', 'failed'],
    [{ ...dump, ...over, canceled_at: over.finished_at, succeeded: false }, 'b007', 'backup', 'canceled'],
    [{ ...dump, canceled_at: over.finished_at }, 'b007', 'backup', 'canceled'],
    [{ ...dump, succeeded: false }, 'b007', 'backup', 'failed'],
    [{ ...dump, options: { pgbackups_name: 'b001' } }, 'ob001', 'backup', 'running'],
    [{ num: 8, from_type: 'gof3r', to_type: 'pg_restore', ...over, succeeded: true }, 'r008', 'restore', 'succeeded'],
    [{ num: 9, from_type: 'pg_dump', to_type: 'pg_restore' }, 'c009', 'copy', 'running'],
  ])('%o is %s, a %s that is %s', (raw, id, kind, state) => {
    expect(transferFrom(raw)).toMatchObject({ id, kind, state })
  })

  test('what operators see of it has no address', () => {
    const raw = { ...dump, ...over, to_url: 'https://store.example/dump', processed_bytes: 5, warnings: 2 }
    const shown = shownTransfer(transferFrom(raw))
    expect(shown).toMatchObject({ uuid: 'u', bytes: 5, warnings: 2, finishedAt: new Date(over.finished_at) })
    expect(JSON.stringify(shown)).not.toContain('store.example')
  })
})

let api: FakeApi | undefined
afterEach(() => {
  api?.stop()
  api = undefined
})

/** The databases of the app of the fake API, which stands for the data API too. */
function databasesAt({ app, url }: FakeApi, { limitMs = 10_000, host = '127.0.0.1' } = {}) {
  const parts = { ledger: new Ledger(), output: new Output({ logLevel: 'error' }), dryRun: false }
  const data = () => new DataApi({ baseUrl: url, token: 'secret-token' }, parts, { HEROKU_DATA_HOST: host })
  const connect = () => ({ cause: 'none', next: 'none' })
  return new HerokuDatabases(app, { data, connect, patience: { pauseMs: 5, limitMs } })
}

describe('a database that is ordered', () => {
  const addon = (state: string) => ({
    ...{ id: 'id', name: 'postgresql-new-1', state, addon_service: { name: 'heroku-postgresql' } },
    plan: { name: 'heroku-postgresql:essential-0' },
  })

  test('is waited for while Heroku cannot be asked, and until it takes sessions', async () => {
    const [down, unknown] = [refusing(503), refusing(404)]
    const status = '/client/v11/databases/postgresql-new-1/wait_status'
    api = await startFakeApi({
      'GET /addon-attachments': [],
      'POST /addons': addon('provisioning'),
      'GET /addons': inTurn([], down, down, down, [addon('provisioning')], [addon('provisioned')]),
      [`GET ${status}`]: inTurn(unknown, { 'waiting?': true }, { 'waiting?': false }),
    })
    expect(await databasesAt(api).create('essential-0', [])).toMatchObject({
      name: 'postgresql-new-1',
      state: 'provisioned',
    })
    expect(api.seen.filter(asked => asked.includes('wait_status'))).toHaveLength(3)
    expect(api.seen.filter(asked => asked.startsWith('POST'))).toEqual(['POST /addons'])
  })

  test('is not ordered where nobody could tell when it is ready', async () => {
    api = await startFakeApi({ 'GET /addon-attachments': [], 'GET /addons': [] })
    const databases = databasesAt(api, { host: 'evil.example' })
    await expect(databases.create('essential-0', [])).rejects.toMatchObject({ code: 'heroku-data-host' })
    expect(api.seen).toEqual([])
  })
})

describe('a database that is promoted', () => {
  const named = (name: string, addon: string, namespace: string | null = null) => ({
    ...{ name, namespace, addon: { id: `${addon}-id`, name: addon, app: { name: 'a' } } },
  })
  const both = [
    named('DATABASE', 'old'),
    named('HEROKU_POSTGRESQL_AMBER', 'old'),
    named('HEROKU_POSTGRESQL_JADE', 'new'),
  ]
  const release = (version: number, status: string) => ({ version, status, description: 'Attach DATABASE (@ref:new)' })
  const answers = (releases: readonly object[]) => ({
    'GET /addon-attachments': both,
    'GET /client/v11/databases/new-id/wait_status': { 'waiting?': false },
    'POST /addon-attachments': {},
    'GET /releases': inTurn([{ version: 1 }], ...releases.map(one => [one])),
  })
  const promote = async (given: object, limitMs = 10_000) => {
    api = await startFakeApi(given as Record<string, unknown>)
    return databasesAt(api, { limitMs }).promote('new')
  }

  test('its release phase is waited for', async () => {
    await promote(answers([release(2, 'pending'), release(2, 'pending'), release(2, 'succeeded')]))
    expect(api?.seen.filter(asked => asked === 'GET /releases')).toHaveLength(4)
  })

  test('a release phase that does not end leaves it unknown', async () => {
    const given = answers([release(2, 'pending')])
    await expect(promote(given, 200)).rejects.toMatchObject({ code: 'promote-release-unseen', exitCode: 8 })
  })

  test('while it is not ready, nothing is done', async () => {
    const status = { 'GET /client/v11/databases/new-id/wait_status': { 'waiting?': true, message: 'preparing' } }
    const refused = { code: 'database-not-ready', exitCode: 3 }
    await expect(promote({ ...answers([]), ...status })).rejects.toMatchObject(refused)
    expect(api?.seen.filter(asked => asked.startsWith('POST'))).toEqual([])
  })

  test('a pool that does not come along is told: not undone', async () => {
    const pooled = [...both, named('DATABASE_CONNECTION_POOL', 'old', 'connection-pooling:default')]
    const given = {
      ...answers([release(2, 'succeeded')]),
      'GET /addon-attachments': pooled,
      'POST /addon-attachments': inTurn({}, refusing(422, 'No pool here.')),
    }
    const told = { exitCode: 5, message: expect.stringContaining('DATABASE_CONNECTION_POOL_URL was not') }
    await expect(promote(given)).rejects.toMatchObject(told)
  })
})
