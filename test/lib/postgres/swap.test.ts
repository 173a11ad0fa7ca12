import { afterAll, beforeAll, expect, test } from 'vitest'
import { Ledger } from '../../../src/lib/ledger.js'
import { openDatabase } from '../../../src/lib/postgres/access.js'
import { keptDatabases } from '../../../src/lib/postgres/kept.js'
import { dropDatabase, endSessions } from '../../../src/lib/postgres/scratch.js'
import { identityOf, swapDatabases } from '../../../src/lib/postgres/swap.js'
import { startPostgres, type TestPostgres } from '../../support/postgres.js'

let server: TestPostgres

beforeAll(async () => {
  server = await startPostgres()
})

afterAll(() => server?.stop())

const UNTIL = '2026-11-29T12:00:00.000Z'
/** What an operator may call a database. */
const LIVE = 'my "toots"; DROP\'s \\ 日本'

test('both names and the label come together, and go back together', async () => {
  const maintenance = await server.open()
  const [live, fresh, kept] = [LIVE, 'mstdn_ops_new_1', 'mstdn_ops_kept_1']
  for (const name of [live, fresh]) await server.createDatabase(name)
  const [old, made] = [await identityOf(maintenance, live), await identityOf(maintenance, fresh)]
  await swapDatabases(maintenance, { live, fresh, kept }, UNTIL)
  expect(await identityOf(maintenance, live)).toBe(made)
  expect(await keptDatabases(maintenance, live)).toMatchObject([{ name: kept, of: live, until: UNTIL }])
  expect(await keptDatabases(maintenance, 'another'), 'it is no other instance’s').toEqual([])
  await swapDatabases(maintenance, { live, fresh: kept, kept: fresh }, null)
  expect(await identityOf(maintenance, live)).toBe(old)
  expect(await keptDatabases(maintenance, live)).toEqual([])
  await maintenance.close()
})

test('where there is no new database, the live one stays what it was', async () => {
  const maintenance = await server.open()
  const live = await server.createDatabase('mastodon')
  const old = await identityOf(maintenance, live)
  const names = { live, fresh: 'mstdn_ops_new_2', kept: 'mstdn_ops_kept_2' }
  await expect(swapDatabases(maintenance, names, null)).rejects.toThrow('mstdn_ops_new_2')
  expect(await identityOf(maintenance, live)).toBe(old)
  await maintenance.close()
})

test('a dry run ends nobody’s session', async () => {
  const name = await server.createDatabase('mstdn_ops_kept_3')
  const [somebody, planning] = [await server.open(name), await server.open('postgres', { dryRun: true })]
  await dropDatabase(planning, name)
  expect(await somebody.query('SELECT 1 AS one')).toEqual([{ one: 1 }])
  await Promise.all([somebody.close(), planning.close()])
})

test('a user ends its own sessions, and those of others do not stop it', async () => {
  const name = await server.createDatabase('shared')
  const admin = await server.open()
  await admin.write("CREATE ROLE tenant LOGIN PASSWORD 'tenant'")
  const asTenant = (database: string) =>
    openDatabase(server.connector({ user: 'tenant', password: 'tenant', database }), {
      ...{ ledger: new Ledger(), dryRun: false },
    })
  const [keeper, own, session] = [await server.open(name), await asTenant(name), await asTenant('postgres')]
  await endSessions(session, name)
  await expect(own.query('SELECT 1')).rejects.toThrow()
  expect(await keeper.query('SELECT 1 AS one')).toEqual([{ one: 1 }])
  await Promise.all([admin, keeper, session].map(database => database.close()))
})
