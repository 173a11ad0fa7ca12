import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { keptDatabases, keptName } from '../../../../src/lib/postgres/kept.js'
import { identityOf, swapDatabases } from '../../../../src/lib/postgres/swap.js'
import type { StepContext } from '../../../../src/lib/runbook/step.js'
import { takeFreshBack } from '../../../../src/lib/runbooks/replace/fresh.js'
import { namesOf } from '../../../../src/lib/runbooks/replace/names.js'
import { startPostgres, type TestPostgres } from '../../../support/postgres.js'
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
  return {
    toolbox: { ...made, backend: { ...made.backend, postgres } },
    runId: `run-${runs}`,
    dryRun: false,
    note: async () => undefined,
    noted: key => notes[key],
    reveal: () => undefined,
    progress: () => undefined,
    lockAgain: async () => undefined,
  }
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
  const context = contextWith({ ...(await swappedBack()), 'stopped-for': '12' })
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
  await takeFreshBack(contextWith({ 'fresh-oid': '1', 'stopped-for': '12' }), 'test')
  expect(await left()).toEqual({ names: [], kept: [] })
})
