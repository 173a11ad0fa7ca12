import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { AppCommand } from '../../../../src/lib/backends/backend.js'
import type { StepContext } from '../../../../src/lib/runbook/step.js'
import { takeItsPlace } from '../../../../src/lib/runbooks/db/restore.js'
import { migrateStep } from '../../../../src/lib/runbooks/replace/migrate.js'
import {
  migrateAsideOrRefuse,
  migrateAsideStep,
  unlessAside,
} from '../../../../src/lib/runbooks/replace/migrate-aside.js'
import { namesOf } from '../../../../src/lib/runbooks/replace/names.js'
import type { Toolbox } from '../../../../src/lib/toolbox.js'
import { startPostgres, type TestPostgres } from '../../../support/postgres.js'
import { stepContext } from '../../../support/step-context.js'
import { toolboxOf } from '../../../support/toolbox-of.js'

const LIVE = 'mastodon'
const [FIRST, SECOND] = ['20180101000000', '20180813113448']
const FILES = `db/migrate:\n${FIRST}_one.rb\n${SECOND}_two.rb\n`
const SAID = { stdout: '', stderr: '', exitCode: 0, planned: false }

let server: TestPostgres
let fresh: string
let runs = 0
beforeAll(async () => {
  server = await startPostgres()
  await schemaIn(LIVE, FIRST, SECOND)
})
afterAll(() => server?.stop())

async function schemaIn(name: string, ...versions: string[]): Promise<void> {
  const database = await server.open(await server.createDatabase(name))
  await database.write('CREATE TABLE schema_migrations (version varchar)')
  for (const version of versions) await database.write('INSERT INTO schema_migrations VALUES ($1)', [version])
  await database.close()
}

let commands: AppCommand[]
let notes: Record<string, string>
beforeEach(() => {
  commands = []
  notes = {}
  runs += 1
})

interface Situation {
  config?: Record<string, string>
  /** Whether the app migrates the database that it is told to. */
  obeys?: boolean
  dryRun?: boolean
}

/** An app that keeps its migrations to the database that DB_NAME names. */
async function contextOf({ config = {}, obeys = true, dryRun = false }: Situation = {}): Promise<StepContext> {
  const run = async (command: AppCommand) => {
    if (command.argv[0] === 'ls') return { ...SAID, stdout: FILES }
    commands.push(command)
    const database = await server.open((obeys && command.env?.DB_NAME) || LIVE)
    const sql = `INSERT INTO schema_migrations SELECT $1::varchar WHERE NOT EXISTS (SELECT FROM schema_migrations WHERE version = $1)`
    await database.write(sql, [SECOND]).finally(() => database.close())
    return SAID
  }
  const live = await server.open(LIVE)
  const toolbox = toolboxOf({ config: { DB_NAME: LIVE, ...config }, database: live, oneOff: { run } })
  const backend = { ...toolbox.backend, postgres: server.connector({ database: LIVE }) }
  const context = stepContext({ ...toolbox, backend, dryRun }, { notes, runId: `run-${runs}` })
  fresh = (await namesOf(context)).fresh
  return context
}

const step = migrateAsideStep(async () => 1)
const afterwards = unlessAside(migrateStep('all', async () => 1))

test('the new database is migrated, and there is nothing left to do in the live one’s place', async () => {
  const context = await contextOf()
  await schemaIn(fresh, FIRST)
  expect(await step.needed?.(context)).toBe(true)
  await step.run(context)
  expect(commands).toMatchObject([{ env: { DB_NAME: fresh }, longKey: `run-${runs}-migrate-aside` }])
  expect(await step.needed?.(context)).toBe('nothing is pending')
  expect(await afterwards.needed?.(context)).toBe('nothing is pending')
})

test('an app that takes no notice of the name leaves the live database as it is, and the run fails', async () => {
  const context = await contextOf({ obeys: false })
  await schemaIn(fresh, FIRST)
  await expect(step.run(context)).rejects.toMatchObject({ code: 'migrations-pending' })
})

test('an app whose sessions were ended, for the disk was full, is not what is to blame', async () => {
  const context = await contextOf()
  await schemaIn(fresh, FIRST)
  let looked = false
  const disk = async () => {
    looked = true
    return [{ place: 'database', path: '/var/lib/postgresql', freeBytes: 1, totalBytes: 2 } as const]
  }
  const ended = async () => {
    await expect.poll(() => looked).toBe(true)
    return { ...SAID, stderr: 'PG::ConnectionBad', exitCode: 1 }
  }
  const run = (command: AppCommand) => (command.argv[0] === 'ls' ? context.toolbox.app.oneOff().run(command) : ended())
  const full = toolboxOf({ config: { DB_NAME: LIVE }, oneOff: { run } })
  const backend = {
    ...full.backend,
    postgres: context.toolbox.backend.postgres,
    storage: { volumes: async () => [], disk },
  }
  const { database } = context.toolbox
  const toolbox = { ...full, backend: backend as unknown as Toolbox['backend'], database }
  await expect(step.run({ ...context, toolbox })).rejects.toMatchObject({ code: 'no-room' })
})

test('what cannot be migrated aside is migrated in the live one’s place', async () => {
  const byUrl = await contextOf({ config: { DATABASE_URL: 'postgres://m:p@db/mastodon' } })
  await schemaIn(fresh, FIRST)
  expect(await step.needed?.(byUrl)).toMatch(/DATABASE_URL/)
  const swapped = { ...byUrl, toolbox: { ...byUrl.toolbox, database: () => server.open(fresh) } }
  expect(await afterwards.needed?.(swapped)).toBe(true)
})

test('a live database that lacks some itself is not risked', async () => {
  const context = await contextOf()
  await schemaIn(fresh, FIRST)
  await schemaIn(`behind-${runs}`, FIRST)
  const behind = { ...context, toolbox: { ...context.toolbox, database: () => server.open(`behind-${runs}`) } }
  expect(await step.needed?.(behind)).toMatch(/lacks some itself/)
  expect(notes).toEqual({})
})

test('where nothing migrates it later, it is not gone on with unmigrated', async () => {
  const orRefuse = migrateAsideOrRefuse(async () => 1)
  const byUrl = await contextOf({ config: { DATABASE_URL: 'postgres://m:p@db/mastodon' } })
  await schemaIn(fresh, FIRST)
  await expect(orRefuse.needed?.(byUrl)).rejects.toMatchObject({ code: 'not-migrated-aside' })
  const context = await contextOf()
  expect(await orRefuse.needed?.(context)).toBe(true)
  await orRefuse.run(context)
  expect(await orRefuse.needed?.(context)).toBe('nothing is pending')
})

test('a plan shows one of both', async () => {
  const aside = await contextOf({ dryRun: true })
  expect([await step.needed?.(aside), await afterwards.needed?.(aside)]).toEqual([true, 'nothing is pending'])
  const byUrl = await contextOf({ dryRun: true, config: { DATABASE_URL: 'postgres://m:p@db/mastodon' } })
  expect([await step.needed?.(byUrl), await afterwards.needed?.(byUrl)]).toEqual([expect.any(String), true])
})

test('of a restore it comes before anything is stopped', () => {
  const ids = takeItsPlace({ drainSeconds: 1, replayJobs: false }, async () => 0).map(({ id }) => id)
  expect(ids.slice(0, 3)).toEqual(['migrate-aside', 'analyze', 'stop'])
})
