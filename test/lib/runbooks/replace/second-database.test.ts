import { afterAll, beforeAll, expect, test } from 'vitest'
import { openDatabase } from '../../../../src/lib/postgres/access.js'
import { keptDatabases } from '../../../../src/lib/postgres/kept.js'
import { refuseSecondDatabase } from '../../../../src/lib/runbooks/replace/second-database.js'
import { startPostgres, type TestPostgres } from '../../../support/postgres.js'
import { toolboxOf } from '../../../support/toolbox-of.js'

let server: TestPostgres

beforeAll(async () => {
  server = await startPostgres()
  const keeper = await server.open(await server.createDatabase('mastodon'))
  await keeper.write("CREATE ROLE app LOGIN CREATEDB PASSWORD 'app'")
  await keeper.close()
})

afterAll(() => server?.stop())

/** Asks as the app's user whether the database can be replaced. */
async function refusal(): Promise<unknown> {
  const connector = server.connector({ user: 'app', password: 'app', database: 'mastodon' })
  const made = toolboxOf({})
  const database = await openDatabase(connector, { ledger: made.ledger, dryRun: false })
  const toolbox = { ...made, backend: { ...made.backend, postgres: connector }, database: async () => database }
  return refuseSecondDatabase(toolbox, 1)
    .catch((error: { code: string }) => error.code)
    .finally(() => database.close())
}

test('who does not own the live database is told before anything is stopped', async () => {
  expect(await refusal()).toBe('database-not-owned')
  const keeper = await server.open()
  await keeper.write('ALTER DATABASE mastodon OWNER TO app')
  expect(await refusal()).toBeUndefined()
  await keeper.close()
})

test('a kept database of others that lets nobody in is no obstacle', async () => {
  const name = await server.createDatabase('mstdn_ops_kept_1')
  const keeper = await server.open()
  await keeper.write(`REVOKE CONNECT ON DATABASE "${name}" FROM PUBLIC`)
  const connector = server.connector({ user: 'app', password: 'app', database: 'mastodon' })
  const app = await openDatabase(connector, { ledger: toolboxOf({}).ledger, dryRun: false })
  expect(await keptDatabases(app, 'mastodon')).toMatchObject([{ name, bytes: 0 }])
  await Promise.all([app.close(), keeper.close()])
})
