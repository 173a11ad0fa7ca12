import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { Ledger } from '../../../../src/lib/ledger.js'
import { type Database, openDatabase } from '../../../../src/lib/postgres/access.js'
import { keptDatabases, keptName } from '../../../../src/lib/postgres/kept.js'
import { traitsOf } from '../../../../src/lib/postgres/snapshot.js'
import { standingOf } from '../../../../src/lib/postgres/standing.js'
import { identityOf, swapDatabases } from '../../../../src/lib/postgres/swap.js'
import type { StepContext } from '../../../../src/lib/runbook/step.js'
import { makeFresh, takeFreshBack } from '../../../../src/lib/runbooks/replace/fresh.js'
import { namesOf } from '../../../../src/lib/runbooks/replace/names.js'
import { startPostgres, type TestPostgres } from '../../../support/postgres.js'
import { stepContext } from '../../../support/step-context.js'
import { toolboxOf } from '../../../support/toolbox-of.js'

let server: TestPostgres
let runs = 0

beforeAll(async () => {
  server = await startPostgres()
  await server.createDatabase('mastodon')
})

afterAll(() => server?.stop())

beforeEach(() => {
  runs += 1
})

function contextWith(notes: Record<string, string>): StepContext {
  const made = toolboxOf({})
  const postgres = server.connector({ database: 'mastodon' })
  return stepContext({ ...made, backend: { ...made.backend, postgres } }, { notes, runId: `run-${runs}` })
}

/** Swaps a new database in and out again; returns the notes of such a run. */
async function swappedBack(): Promise<{ 'fresh-oid': string }> {
  const { live, fresh, kept } = await namesOf(contextWith({}))
  await server.createDatabase(fresh)
  const maintenance = await server.open()
  const oid = (await identityOf(maintenance, fresh)) ?? ''
  await swapDatabases(maintenance, { live, fresh, kept }, null)
  await swapDatabases(maintenance, { live, fresh: kept, kept: fresh }, null)
  await maintenance.close()
  return { 'fresh-oid': oid }
}

async function left(): Promise<{ names: string[]; kept: string[] }> {
  const maintenance = await server.open()
  const names = await maintenance.query<{ name: string }>(
    "SELECT datname AS name FROM pg_database WHERE starts_with(datname, 'mstdn_ops')",
  )
  const kept = await keptDatabases(maintenance, 'mastodon')
  for (const { name } of names) await maintenance.write(`DROP DATABASE "${name}"`)
  await maintenance.close()
  return { names: names.map(({ name }) => name), kept: kept.map(({ runId }) => runId) }
}

test('a new database that the instance has served from is kept, where rollback finds it', async () => {
  const context = contextWith({ ...(await swappedBack()), 'served-from': '2026-11-22T03:15:00Z' })
  await takeFreshBack(context, 'test')
  await takeFreshBack(context, 'test')
  expect(await left()).toEqual({ names: [keptName(`run-${runs}`)], kept: [`run-${runs}`] })
})

test('one that nothing was started with is dropped', async () => {
  await takeFreshBack(contextWith(await swappedBack()), 'test')
  expect(await left()).toEqual({ names: [], kept: [] })
})

test('one that was made anew after another had served is dropped', async () => {
  await swappedBack()
  await takeFreshBack(contextWith({ 'fresh-oid': '1', 'served-from': '2026-11-22T03:15:00Z' }), 'test')
  expect(await left()).toEqual({ names: [], kept: [] })
})

/** Returns what a new database is like, and the live one. */
async function made(user?: string): Promise<{ fresh: unknown; live: unknown; warned: string[] }> {
  const context = contextWith({})
  const warned: string[] = []
  context.toolbox.output.copyTo(line => warned.push(line))
  const open = (database: string, as?: string) =>
    openDatabase(server.connector({ database, ...(as === undefined ? {} : { user: as, password: 'owner' }) }), {
      ...{ ledger: new Ledger(), dryRun: false },
    })
  const live = await open('mastodon', user)
  const postgres = server.connector({
    database: 'mastodon',
    ...(user === undefined ? {} : { user, password: 'owner' }),
  })
  const backend = { ...context.toolbox.backend, postgres }
  const toolbox = { ...context.toolbox, backend, database: async () => live }
  const name = await makeFresh({ ...context, toolbox }, 'test')
  const fresh = await open(name)
  const of = async (database: Database) => {
    const { name: _name, bytes: _bytes, ...traits } = await traitsOf(database)
    return { ...traits, ...(await standingOf(database)) }
  }
  const found = { fresh: await of(fresh), live: await of(live), warned }
  await Promise.all([fresh.close(), live.close()])
  await left()
  return found
}

describe('a new database', () => {
  beforeAll(async () => {
    const maintenance = await server.open()
    await maintenance.write("CREATE ROLE app LOGIN CREATEDB PASSWORD 'owner'")
    await maintenance.write('CREATE ROLE reader')
    await maintenance.query('SET allow_in_place_tablespaces = on')
    await maintenance.write('CREATE TABLESPACE "fast disk" LOCATION \'\'')
    await maintenance.write('ALTER DATABASE mastodon SET TABLESPACE "fast disk"')
    await maintenance.write('GRANT CREATE ON TABLESPACE "fast disk" TO app')
    await maintenance.write('ALTER DATABASE mastodon CONNECTION LIMIT 40')
    await maintenance.write('ALTER DATABASE mastodon OWNER TO app')
    await maintenance.write("ALTER ROLE app IN DATABASE mastodon SET statement_timeout TO '7s'")
    await maintenance.write("ALTER ROLE reader IN DATABASE mastodon SET search_path TO 'public', 'my, own'")
    await maintenance.close()
  })

  test('has the tablespace, the limit and the roles’ settings of the live one', async () => {
    const { fresh, live, warned } = await made()
    expect(fresh).toEqual(live)
    expect(fresh).toMatchObject({
      ...{ tablespace: 'fast disk', connectionLimit: 40, owner: 'app' },
      roleSettings: [
        { role: 'app', name: 'statement_timeout', value: '7s' },
        { role: 'reader', name: 'search_path', value: 'public, "my, own"' },
      ],
    })
    expect(warned).toEqual([])
  })

  test('lacks what its maker may not set for others, which is told', async () => {
    const { fresh, warned } = await made('app')
    expect(fresh).toMatchObject({ roleSettings: [{ role: 'app' }], connectionLimit: 40 })
    expect(warned.join()).toContain('for want of rights: search_path for reader.')
  })

  test('lacks the settings and the tablespace that its maker has no right to, which is told', async () => {
    const maintenance = await server.open()
    await maintenance.write("ALTER DATABASE mastodon SET log_min_duration_statement TO '200ms'")
    await maintenance.write('REVOKE CREATE ON TABLESPACE "fast disk" FROM app')
    try {
      const { fresh, warned } = await made('app')
      expect(fresh).toMatchObject({ tablespace: 'pg_default', settings: {} })
      expect(warned.join()).toContain('log_min_duration_statement, the tablespace fast disk, search_path for reader.')
    } finally {
      await maintenance.write('ALTER DATABASE mastodon RESET log_min_duration_statement')
      await maintenance.write('GRANT CREATE ON TABLESPACE "fast disk" TO app')
      await maintenance.close()
    }
  })

  test('has the live one’s kind of locale where new databases would get another', async () => {
    const maintenance = await server.open()
    const kinds = (kind: string, locale: string) =>
      maintenance.query(`UPDATE pg_database SET datlocprovider = '${kind}', daticulocale = ${locale}
        WHERE datname = 'template0'`)
    await kinds('i', "'en-US'")
    try {
      expect((await made()).fresh).toMatchObject({ provider: 'libc', icuLocale: null })
    } finally {
      await kinds('c', 'NULL')
      await maintenance.close()
    }
  })
})
