import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { AppCommand } from '../../../../src/lib/backends/backend.js'
import { keptName } from '../../../../src/lib/postgres/kept.js'
import type { StepContext } from '../../../../src/lib/runbook/step.js'
import { takeItsPlace } from '../../../../src/lib/runbooks/db/restore.js'
import { rollback } from '../../../../src/lib/runbooks/db/rollback.js'
import { MIGRATED, migrateStep } from '../../../../src/lib/runbooks/replace/migrate.js'
import { namesOf } from '../../../../src/lib/runbooks/replace/names.js'
import { raiseMigratedStep } from '../../../../src/lib/runbooks/replace/swap.js'
import { startPostgres, type TestPostgres } from '../../../support/postgres.js'
import { stepContext } from '../../../support/step-context.js'
import { type Made, toolboxOf } from '../../../support/toolbox-of.js'

const RUN = 'run-1'
let server: TestPostgres

beforeAll(async () => {
  server = await startPostgres()
})

afterAll(() => server?.stop())

function contextWith(notes: Record<string, string>, made: Made = {}): StepContext {
  const toolbox = toolboxOf(made)
  const postgres = server.connector({ database: 'mastodon' })
  return stepContext({ ...toolbox, backend: { ...toolbox.backend, postgres } }, { notes, runId: RUN })
}

async function databaseWith(name: string, sql: string): Promise<void> {
  const database = await server.open(await server.createDatabase(name))
  await database.write(sql)
  await database.close()
}

test('a table that migrations have made gives out no id that the kept database has given out', async () => {
  await databaseWith('mastodon', 'CREATE TABLE quotes (id bigserial)')
  await databaseWith(keptName(RUN), "CREATE TABLE quotes (id bigserial); SELECT setval('quotes_id_seq', 812)")
  const step = raiseMigratedStep(namesOf)
  const context = contextWith({ [MIGRATED]: 'yes' })
  expect(await step.needed?.(context)).toBe(true)
  await step.run(context)
  const live = await server.open('mastodon')
  expect(await live.query("SELECT nextval('quotes_id_seq') AS id")).toEqual([{ id: 1_813 }])
  await live.close()
  expect(context.toolbox.ledger.byHand(), 'one line, not one for each sequence').toHaveLength(1)
})

test('nothing is raised where no migration was run', async () => {
  expect(await raiseMigratedStep(namesOf).needed?.(contextWith({}))).toBe('no migration was run')
})

test('it comes after the migrations and before anybody is served, of a restore and of a rollback', async () => {
  const restored = takeItsPlace({ drainSeconds: 1, replayJobs: false }, async () => 0)
  const back = await rollback.steps(toolboxOf({}), { of: RUN, database: 'kept', drainSeconds: 0 })
  for (const steps of [restored, back]) {
    const ids = steps.map(({ id }) => id)
    expect(ids[ids.indexOf('migrate') + 1]).toBe('raise-migrated-ids')
    expect(ids.indexOf('start')).toBeGreaterThan(ids.indexOf('raise-migrated-ids'))
  }
})

test.each([{}, { ordered: true as const }])(
  'a rollback runs no job of the state that it takes away (%j)',
  async where => {
    const steps = await rollback.steps(toolboxOf({}), { of: RUN, database: 'kept', drainSeconds: 0, ...where })
    const ids = steps.map(({ id }) => id)
    expect(ids.indexOf('jobs-aside')).toBeGreaterThan(ids.indexOf('stop'))
    expect(ids.indexOf('jobs-aside')).toBeLessThan(ids.indexOf('raise-ids'))
  },
)

test('a plan tells the migrations that the state lacks, not the live database', async () => {
  const planned = { ...contextWith({}), dryRun: true }
  for (const lacking of [3, null])
    expect(await migrateStep('all', async () => lacking).needed?.(withOneOff(planned))).toBe(true)
  expect(await migrateStep('all', async () => 0).needed?.(withOneOff(planned))).toBe('nothing is pending')
})

function withOneOff(context: StepContext): StepContext {
  const oneOff = toolboxOf({ oneOff: {} }).backend.oneOff
  return {
    ...context,
    toolbox: { ...context.toolbox, backend: { ...context.toolbox.backend, ...(oneOff && { oneOff }) } },
  }
}

describe('the migrations of a rollback', () => {
  const FILES = `db/migrate:
20180101000000_one.rb
20180813113448_two.rb

db/post_migrate:
20180901000000_later.rb`
  const runs: AppCommand[] = []
  const made = (applied: string[]): Made => ({
    database: {
      query: async (sql: string) =>
        (sql.includes('to_regclass') ? [{ there: true }] : applied.map(version => ({ version }))) as never,
    },
    oneOff: {
      run: async (command: AppCommand) => {
        if (command.argv[0] === 'ls') return { stdout: FILES, stderr: '', exitCode: 0, planned: false }
        runs.push(command)
        applied.push('20180813113448')
        return { stdout: '', stderr: '', exitCode: 0, planned: false }
      },
    },
  })

  test('are none where only those are pending that the operator had put off', async () => {
    const context = contextWith({}, made(['20180101000000', '20180813113448']))
    expect(await migrateStep('pre').needed?.(context)).toBe('nothing is pending')
    expect(await migrateStep().needed?.(context), 'a restore runs them').toBe(true)
  })

  test('leave those out that a new release has brought', async () => {
    const notes: Record<string, string> = {}
    await migrateStep('pre').run(contextWith(notes, made(['20180101000000'])))
    expect(runs).toMatchObject([{ env: { SKIP_POST_DEPLOYMENT_MIGRATIONS: 'true' } }])
    expect(notes[MIGRATED]).toBe('yes')
  })

  test('are the only ones of a rollback', async () => {
    const steps = await rollback.steps(toolboxOf({}), { of: RUN, database: 'kept', drainSeconds: 0 })
    const migrate = steps.find(({ id }) => id === 'migrate')
    expect(await migrate?.needed?.(contextWith({}, made(['20180101000000', '20180813113448'])))).toBe(
      'nothing is pending',
    )
  })
})
