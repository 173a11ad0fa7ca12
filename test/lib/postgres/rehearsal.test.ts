import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Ledger } from '../../../src/lib/ledger.js'
import { openDatabase } from '../../../src/lib/postgres/access.js'
import { copyRoleSettings, createApartRole, mayCreateRoles, reachOf } from '../../../src/lib/postgres/apart-role.js'
import { watchMigrations } from '../../../src/lib/postgres/migration-watch.js'
import { dropDatabase } from '../../../src/lib/postgres/scratch.js'
import { refuseOwners } from '../../../src/lib/runbooks/upgrade/owners.js'
import { startPostgres, type TestPostgres } from '../../support/postgres.js'
import { toolboxOf } from '../../support/toolbox-of.js'

let server: TestPostgres

beforeAll(async () => {
  server = await startPostgres()
})
afterAll(() => server?.stop())

const as = (user: string, password: string, database = 'postgres', ledger = new Ledger()) =>
  openDatabase(server.connector({ user, password, database }), { ledger, dryRun: false })

test('a user who is no superuser makes a role and its database; the password works, and is written nowhere', async () => {
  const admin = await server.open()
  await admin.write("CREATE ROLE app LOGIN CREATEDB CREATEROLE PASSWORD 'app'")
  const ledger = new Ledger()
  const app = await as('app', 'app', 'postgres', ledger)
  expect(await mayCreateRoles(app)).toBe(true)
  const password = await createApartRole(app, 'apart')
  await app.write('CREATE DATABASE apart TEMPLATE template0 OWNER apart')
  const own = await as('apart', password, 'apart')
  await own.write('CREATE TABLE mine (id int)')
  await expect(as('apart', `${password}x`)).rejects.toThrow()
  expect(JSON.stringify(ledger.entries)).not.toContain(password)
  expect(JSON.stringify(ledger.entries)).not.toContain('SCRAM')
  await own.close()
  await dropDatabase(app, 'apart')
  await app.write('DROP ROLE apart')
  await Promise.all([app.close(), admin.close()])
})

test('the role has the settings of the app’s own, those for the live database before those for all', async () => {
  const admin = await server.open()
  const live = await server.createDatabase('settled')
  await admin.write("CREATE ROLE settled LOGIN CREATEDB CREATEROLE PASSWORD 'settled'")
  await admin.write("ALTER ROLE settled SET lock_timeout TO '5s'")
  await admin.write("ALTER ROLE settled SET statement_timeout TO '60s'")
  await admin.write('ALTER ROLE settled SET search_path TO "$user", public')
  await admin.write(`ALTER ROLE settled IN DATABASE ${live} SET statement_timeout TO '90s'`)
  await admin.write("ALTER ROLE settled IN DATABASE postgres SET work_mem TO '9MB'")
  await admin.write("ALTER ROLE settled SET log_statement TO 'none'")
  const [app, own] = [await as('settled', 'settled'), await as('settled', 'settled', live)]
  await createApartRole(app, 'apart_settled')
  expect(await copyRoleSettings(own, app, 'apart_settled')).toEqual(['log_statement'])
  const [row] = await admin.query<{ lines: string[] }>(
    "SELECT setconfig AS lines FROM pg_db_role_setting WHERE setrole = 'apart_settled'::regrole",
  )
  expect(row?.lines.sort()).toEqual([
    'client_connection_check_interval=2s',
    'lock_timeout=5s',
    'search_path="$user", public',
    'statement_timeout=90s',
  ])
  await app.write('DROP ROLE apart_settled')
  await Promise.all([app.close(), own.close(), admin.close()])
})

test('tables of another owner are in the way, and the line that is told gives them to the app', async () => {
  const name = await server.createDatabase('foreign')
  const admin = await server.open(name)
  await admin.write("CREATE ROLE restored LOGIN PASSWORD 'restored'")
  await admin.write('CREATE TABLE users (id serial)')
  const app = await as('restored', 'restored', name)
  const toolbox = toolboxOf({ database: app })
  const refused = await refuseOwners(toolbox).catch(error => error)
  expect(refused).toMatchObject({ code: 'not-owner', exitCode: 3, message: expect.stringMatching(/restored cannot/) })
  const line = refused.next.replace(/^.*?: SELECT/, 'SELECT').replace(' \\gexec', '')
  for (const { format } of await admin.query<{ format: string }>(line)) await admin.write(format)
  await expect(refuseOwners(toolbox)).resolves.toBeUndefined()
  await app.write('ALTER TABLE users ADD own int')
  await Promise.all([app.close(), admin.close()])
})

test('one who may make no role is told apart', async () => {
  const admin = await server.open()
  await admin.write("CREATE ROLE plain LOGIN CREATEDB PASSWORD 'plain'")
  const plain = await as('plain', 'plain')
  expect([await mayCreateRoles(plain), await mayCreateRoles(admin)]).toEqual([false, true])
  await Promise.all([plain.close(), admin.close()])
})

test('what a role may reach by what everybody may is seen', async () => {
  const name = await server.createDatabase('live')
  const live = await server.open(name)
  for (const table of ['secret', 'open']) await live.write(`CREATE TABLE ${table} (id int)`)
  await live.write('CREATE ROLE stranger')
  expect(await reachOf(live, 'stranger', 'own')).toMatchObject({ tables: [] })
  await live.write('GRANT SELECT ON open TO PUBLIC')
  const { databases, tables } = await reachOf(live, 'stranger', 'own')
  expect(tables).toEqual(['open'])
  expect(databases).toContain('live')
  await live.write('REVOKE CONNECT ON DATABASE live FROM PUBLIC')
  expect((await reachOf(live, 'stranger', 'own')).databases).not.toContain('live')
  await live.close()
})

test('locks that others wait for and tables that are written anew are seen, each with its migration', async () => {
  const name = await server.createDatabase('migrated')
  const [looking, migrating] = [await server.open(name), await server.open(name)]
  await migrating.write('CREATE TABLE statuses AS SELECT g AS id FROM generate_series(1, 1000) g')
  await migrating.write('CREATE TABLE accounts (id int)')
  let current: string | null = null
  const watch = await watchMigrations(looking, () => current)
  current = 'WidenIds'
  await migrating.transaction(async () => {
    await migrating.write('ALTER TABLE statuses ALTER id TYPE bigint')
    await migrating.write('CREATE TABLE made (id int)')
    await migrating.query('INSERT INTO accounts VALUES (1) RETURNING id')
    await wait(900)
  })
  current = 'Another'
  await wait(400)
  const { locks, rewrites, problem } = await watch.stop()
  expect(problem).toBeNull()
  expect(new Set(locks.map(({ table }) => table))).toEqual(new Set(['statuses']))
  const whole = locks.find(({ mode }) => mode === 'AccessExclusiveLock')
  expect(whole).toMatchObject({ migration: 'WidenIds' })
  expect(whole?.seconds).toBeGreaterThan(0.3)
  expect(rewrites).toMatchObject([{ table: 'statuses', migration: 'WidenIds' }])
  expect(rewrites[0]?.bytes).toBeGreaterThan(8_000)
  await Promise.all([looking.close(), migrating.close()])
})
