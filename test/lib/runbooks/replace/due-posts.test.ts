import { afterAll, beforeAll, expect, test } from 'vitest'
import { Ledger } from '../../../../src/lib/ledger.js'
import { type Database, openDatabase } from '../../../../src/lib/postgres/access.js'
import type { StepContext } from '../../../../src/lib/runbook/step.js'
import { takeItsPlace } from '../../../../src/lib/runbooks/db/restore.js'
import { duePosts, duePostsStep } from '../../../../src/lib/runbooks/replace/due-posts.js'
import { startPostgres, type TestPostgres } from '../../../support/postgres.js'
import { stepContext } from '../../../support/step-context.js'
import { toolboxOf } from '../../../support/toolbox-of.js'

let server: TestPostgres
let database: Database

beforeAll(async () => {
  server = await startPostgres()
  await server.createDatabase('mastodon')
  database = await opened(false)
})

afterAll(async () => {
  await database?.close()
  await server?.stop()
})

const opened = (dryRun: boolean) =>
  openDatabase(server.connector({ database: 'mastodon' }), { ledger: new Ledger(), dryRun })

function contextOn(database: Database, notes: Record<string, string> = {}): StepContext {
  return stepContext({ ...toolboxOf({ database }), dryRun: database.dryRun }, { notes })
}

test('a release without the table is left alone', async () => {
  expect(await duePostsStep().needed?.(contextOn(database))).toContain('no table')
})

test('scheduled posts that are due by now go, later ones stay, wherever the server’s clock is set', async () => {
  await database.write("SET TimeZone = 'Pacific/Kiritimati'")
  await database.write(`CREATE TABLE scheduled_statuses (id bigint, scheduled_at timestamp);
    INSERT INTO scheduled_statuses SELECT id, timezone('UTC', now()) + span FROM (VALUES (1, interval '-3 days'),
      (2, interval '4 minutes'), (3, interval '15 minutes'), (4, interval '9 days')) AS t (id, span)`)
  const dry = await opened(true)
  await duePostsStep().run(contextOn(dry))
  await dry.close()
  const notes: Record<string, string> = {}
  const context = contextOn(database, notes)
  expect(await duePostsStep().needed?.(context)).toBe(true)
  await duePostsStep().run(context)
  // As a resumed run does it.
  await duePostsStep().run(context)
  expect(await database.query('SELECT id::int FROM scheduled_statuses ORDER BY id')).toEqual([{ id: 3 }, { id: 4 }])
  expect(duePosts(key => notes[key])).toBe(2)
})

test('it is done in the database that was put in place, before anything is started', async () => {
  const ids = takeItsPlace({ drainSeconds: 1, replayJobs: false }, async () => 0).map(({ id }) => id)
  expect(ids.slice(ids.indexOf('due-posts')).slice(0, 2)).toEqual(['due-posts', 'start'])
  expect(ids.indexOf('due-posts')).toBeGreaterThan(ids.indexOf('raise-migrated-ids'))
})
